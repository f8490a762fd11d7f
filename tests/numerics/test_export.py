"""What leaves for Hugging Face: the same logits, cached or not, loaded without this package."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from builders.exported import run_export
from builders.trained import QUERY, TOP_K, Trained, make_trained, random_model
from transformers import PreTrainedTokenizerFast

from valm.config.retrieve import Query
from valm.embed.encoder import TokenStates
from valm.export.hugging_face import export_model, hugging_face_config
from valm.export.modeling_valm import ValmConfig, ValmForCausalLM
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig
from valm.retrieve.index import Searcher
from valm.retrieve.queries import states_at
from valm.train.saved_model import load_model

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
VOCABULARY, CONTEXT = 40, 12
FUSIONS = [("none", {}, 0)] + [
    ("joint", {"scale": scale, "layer_from_end": layer}, width)
    for scale, layer, width in product(("sqrt_d_head", "sqrt_d_model"), (1, 2), (16, 10))
]
FUSIONS += [("joint", {"null_image": True}, width) for width in (16, 10)]
TRUNKS = (("fairseq", "sinusoidal"), ("fairseq", "learned"), ("gpt2", "learned"))
CASES = [(*fusion, *trunk) for fusion, trunk in product(FUSIONS, TRUNKS)]


def pair(
    fusion: str,
    params: dict[str, object],
    value_width: int,
    architecture: str = "fairseq",
    positions: str = "sinusoidal",
) -> tuple[LanguageModel, ValmForCausalLM]:
    """A model of ours and the exported code with its weights."""
    trunk = TrunkConfig(3, 16, 4, CONTEXT, positions, architecture=architecture)  # type: ignore[arg-type]
    ours = random_model(trunk, fusion, params, VOCABULARY, value_width)
    sizes = hugging_face_config(ours, end_of_text=0)
    theirs = ValmForCausalLM(
        ValmConfig(**{name: sizes[name] for name in ValmConfig.__annotations__})
    )
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs.eval()


def drawn(batch: int, tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, picture vectors, and a mask that leaves some tokens one picture, and one none."""
    generator = torch.Generator().manual_seed(batch + tokens)
    ids = torch.randint(1, VOCABULARY, (batch, tokens), generator=generator)
    vectors = 3 * torch.randn(batch, tokens, 3, width, generator=generator) + 1
    mask = torch.rand(batch, tokens, 3, generator=generator) < 0.6
    mask[0, 1] = False
    return ids, vectors, mask


@pytest.mark.parametrize(("fusion", "params", "value_width", "architecture", "positions"), CASES)
def test_logits_equal_ours(
    fusion: str, params: dict[str, object], value_width: int, architecture: str, positions: str
) -> None:
    """The modelling file cannot drift from ``valm.models``: same names, same logits."""
    ours, theirs = pair(fusion, params, value_width, architecture, positions)
    ids, vectors, mask = drawn(2, CONTEXT, value_width)
    torch.testing.assert_close(theirs(ids).logits, ours(ids), **CLOSE)
    if fusion == "none":
        with pytest.raises(ValueError, match="reads no pictures"):
            theirs(ids, picture_vectors=vectors)
        return
    seen = theirs(ids, picture_vectors=vectors, picture_mask=mask).logits
    torch.testing.assert_close(seen, ours(ids, Pictures(mask, vectors=vectors)), **CLOSE)
    assert (seen - theirs(ids).logits).abs().max() > 0.1
    everywhere = theirs(ids, picture_vectors=vectors).logits
    all_of_them = Pictures(torch.ones_like(mask), vectors=vectors)
    torch.testing.assert_close(everywhere, ours(ids, all_of_them), **CLOSE)


@pytest.mark.parametrize("value_width", [0, 16, 10])
def test_the_cache_and_left_padding_change_nothing(value_width: int) -> None:
    _, theirs = pair("joint" if value_width else "none", {}, value_width)
    ids, vectors, mask = drawn(2, CONTEXT, value_width or 1)
    pictures = (vectors, mask) if value_width else (None, None)

    def given(part: slice, rows: slice = slice(None)) -> dict[str, torch.Tensor]:
        names = ("picture_vectors", "picture_mask")
        return {n: p[rows, part] for n, p in zip(names, pictures, strict=True) if p is not None}

    whole = theirs(ids, **given(slice(None))).logits
    cache, steps = None, []
    for start, stop in ((0, 5), (5, 6), (6, 9), (9, CONTEXT)):
        part = slice(start, stop)
        out = theirs(ids[:, part], past_key_values=cache, use_cache=True, **given(part))
        cache, steps = out.past_key_values, [*steps, out.logits]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, **CLOSE)
    # The second text lacks its first three tokens, and has padding in their place.
    attention = torch.ones_like(ids)
    attention[1, :3] = 0
    padded = theirs(ids, attention_mask=attention, **given(slice(None))).logits
    alone = theirs(ids[1:, 3:], **given(slice(3, None), slice(1, None))).logits
    torch.testing.assert_close(padded[0], whole[0], **CLOSE)
    torch.testing.assert_close(padded[1:, 3:], alone, **CLOSE)
    with pytest.raises(ValueError, match=f"longer than the model's context of {CONTEXT}"):
        theirs(ids[:, :1], past_key_values=cache)


@torch.no_grad()
def test_generation_is_the_most_likely_token_one_by_one() -> None:
    """Greedy, in a padded batch: pictures of the prompt, or a retriever's for every token."""
    ours, theirs = pair("joint", {}, 16)
    table = torch.randn(VOCABULARY, 2, 16, generator=torch.Generator().manual_seed(1)) * 2
    ids, _, _ = drawn(2, 6, 16)
    attention = torch.ones_like(ids)
    ids[1, :2] = attention[1, :2] = 0

    def retrieve(ids: torch.Tensor, attention: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return table[ids], (ids > 9).unsqueeze(-1).expand(*ids.shape, 2)

    def expected(row: int, first: int, *, new_pictures: bool) -> torch.Tensor:
        """Logits of each step, by our model without a cache."""
        text, steps = ids[row : row + 1, first:], []
        for _ in range(5):
            vectors, mask = retrieve(text, None)
            if not new_pictures:
                mask = mask.clone()
                mask[:, ids.shape[1] - first :] = False
            steps.append(ours(text, Pictures(mask, vectors=vectors))[0, -1])
            text = torch.cat([text, steps[-1].argmax().view(1, 1)], dim=1)
        return torch.stack(steps)

    options = {"attention_mask": attention, "do_sample": False, "max_new_tokens": 5,
               "eos_token_id": None, "output_logits": True, "return_dict_in_generate": True}  # fmt: skip

    def generated(row: int, **given: object) -> torch.Tensor:
        return torch.stack(theirs.generate(ids, **options, **given).logits)[:, row]

    vectors, mask = retrieve(ids, None)
    for row, first in ((0, 0), (1, 2)):
        prompt = generated(row, picture_vectors=vectors, picture_mask=mask)
        torch.testing.assert_close(prompt, expected(row, first, new_pictures=False), **CLOSE)
        always = expected(row, first, new_pictures=True)
        assert (prompt - always).abs().max() > 0.1
        torch.testing.assert_close(generated(row, retriever=retrieve), always, **CLOSE)
        uncached = generated(row, retriever=retrieve, use_cache=False)
        torch.testing.assert_close(uncached, always, **CLOSE)
    best = theirs.generate(ids, retriever=retrieve, num_beams=3, **options)
    assert best.sequences.shape == (2, 11)


def test_the_loss_is_ours_and_trains() -> None:
    ours, theirs = pair("joint", {}, 10)
    ids, vectors, mask = drawn(2, CONTEXT, 10)
    seen = Pictures(mask[:, :-1], vectors=vectors[:, :-1])
    expected = ours.loss(ids[:, :-1], ids[:, 1:], seen)
    found = theirs.train()(ids, picture_vectors=vectors, picture_mask=mask, labels=ids)
    torch.testing.assert_close(found.loss, expected, **CLOSE)
    assert found.past_key_values is None
    found.loss.backward()
    expected.backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].grad, **CLOSE)


# --- the folder ----------------------------------------------------------------------------------

# A user's process: isolated, without this package.
USER = """
import json, sys
for name in ("valm", "open_clip", "pytorch_lightning"):
    sys.modules[name] = None
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
sys.path.insert(0, folder + "/retriever")
from valm_retriever import Retriever
retriever = Retriever(folder + "/retriever")
batch = tokenizer(texts, return_tensors="pt", padding=True)
vectors, mask = retriever(batch.input_ids)
result = {
    "ids": [tokenizer(text).input_ids for text in texts],
    "decoded": tokenizer.decode(tokenizer(texts[0]).input_ids),
    "ends": [tokenizer.eos_token_id, model.generation_config.eos_token_id],
    "pictures": [retriever.pictures(torch.tensor([tokenizer(t).input_ids])).tolist() for t in texts],
    "plain": model(**tokenizer(texts[0], return_tensors="pt")).logits.tolist(),
    "seen": model(**batch, picture_vectors=vectors, picture_mask=mask).logits.tolist(),
    "generated": model.generate(**batch, retriever=retriever, do_sample=False).shape,
}
print(json.dumps(result))
"""
# The second is longer than a window of the retriever, and spells an end of text.
PROMPTS = ["the  Frog is", "a <|endoftext|> sign is Blue, and a zebra is 42 years old"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "hf"
    assert run_export(trained, folder).exit_code == 0
    return folder


class OfTower:
    """The text tower as ``valm.retrieve`` asks an encoder."""

    def __init__(self, trained: Trained):
        self.tower = trained.tower
        self.key_width, self.value_width, self.context_tokens = 16, 1, 8

    def encode_tokens(self, ids: torch.Tensor) -> TokenStates:
        keys = self.tower(ids)[0]
        return TokenStates(keys, keys[..., :1])


def retrieved(trained: Trained, ids: list[int]) -> np.ndarray:
    """The pictures that this package finds for a text: ends of text end documents."""
    end = load_tokenizer(trained.tokenizer).end_of_text
    ends = [place + 1 for place, token in enumerate(ids) if token == end]
    documents = np.array(sorted({0, *ends, len(ids)}))
    states = states_at(
        OfTower(trained), np.array(ids), documents, np.arange(len(ids)), Query(**QUERY)
    )
    return Searcher(trained.vectors, trained.index).search(states.keys, TOP_K)[0]


def test_a_stranger_gets_our_logits_with_and_without_pictures(
    trained: Trained, exported: Path, tmp_path: Path
) -> None:
    """Loaded in an isolated process, in which ``import valm`` fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    run = subprocess.run(
        [sys.executable, "-I", "-c", USER, str(exported), json.dumps(PROMPTS)],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    result = json.loads(run.stdout.splitlines()[-1])
    tokenizer = load_tokenizer(trained.tokenizer)
    ids = [tokenizer.encode(text) for text in PROMPTS]
    assert result["ids"] == ids
    assert len(ids[1]) > QUERY["window_tokens"] + QUERY["stride_tokens"]
    assert result["decoded"].strip() == tokenizer.decode(ids[0])
    assert result["ends"] == [tokenizer.end_of_text] * 2
    ours, _ = load_model(trained.model)
    found = [retrieved(trained, text) for text in ids]
    assert result["pictures"] == [[rows.tolist()] for rows in found]
    values = torch.from_numpy(np.load(trained.vectors.with_name("values.npy")).astype(np.float32))
    plain = ours(torch.tensor(ids[:1]))
    torch.testing.assert_close(torch.tensor(result["plain"]), plain, **CLOSE)
    for row, (text, rows) in enumerate(zip(ids, found, strict=True)):
        pictures = Pictures(
            torch.ones(1, *rows.shape, dtype=torch.bool), vectors=values[rows][None]
        )
        expected = ours(torch.tensor([text]), pictures)[0]
        got = torch.tensor(result["seen"])[row, -len(text) :]
        torch.testing.assert_close(got, expected, **CLOSE)
    assert result["generated"][1] <= ours.trunk.config.context_tokens


def test_the_retriever_follows_the_documents_of_a_stream(trained: Trained, exported: Path) -> None:
    """An end of text ends a document; appended text changes no earlier token's pictures."""
    from valm.export.valm_retriever import Retriever

    retriever = Retriever(exported / "retriever")
    end = load_tokenizer(trained.tokenizer).end_of_text
    generator = np.random.default_rng(0)
    text = generator.integers(0, end or 200, 40).tolist()
    text[0] = text[3] = text[17] = end
    found = retriever.pictures(torch.tensor([text, text[::-1]]))
    assert np.array_equal(found[0], retrieved(trained, text))
    assert np.array_equal(found[1], retrieved(trained, text[::-1]))
    assert np.array_equal(retriever.pictures(torch.tensor([text[:25]]))[0], found[0, :25])
    captions = pl.read_parquet(exported / "retriever/captions.parquet")
    assert captions["id"].to_list() == list(range(len(retriever.values)))
    assert captions["name"][2] == "thing 3"


def test_clips_vocabulary_is_exported_too(tmp_path: Path) -> None:
    made = make_trained(tmp_path / "results", fusion="none", tokenizer_kind="clip")
    export_model(model=made.model, results=made.results, output=tmp_path / "hf")
    ours = load_tokenizer(made.tokenizer)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path / "hf")
    for text in (*PROMPTS, "Ångström's naïve café — 3,000 <|startoftext|>s!"):
        assert theirs(text).input_ids == ours.encode(text)
        assert theirs.decode(ours.encode(text)).strip() == ours.decode(ours.encode(text))
    assert theirs.eos_token_id == theirs.pad_token_id == ours.end_of_text == 49_407


def test_the_exported_files_import_nothing_of_ours(exported: Path) -> None:
    """The isolated process above runs them; here their imports are read, those in functions too."""
    allowed = {"__future__", "collections", "json", "math", "pathlib", "typing"}
    allowed |= {"torch", "transformers", "numpy", "safetensors", "faiss"}
    for file in exported.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        modules = {
            alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        }
        modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        assert {module.split(".")[0] for module in modules} <= allowed
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in nodes)
