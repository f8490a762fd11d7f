# Token streams and the pictures of every token -> GPT-2*, VaLM and its controls.


rule train_model:
    input:
        unpack(picture_inputs),
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
    output:
        manifest="<results>/train/{model}/seed{seed}/model.manifest.json",
        data=[
            "<results>/train/{model}/seed{seed}/model.safetensors",
            "<results>/train/{model}/seed{seed}/model.json",
            "<results>/train/{model}/seed{seed}/metrics.jsonl",
        ],
    params:
        section=section("train-model"),
        code=code("train-model"),
        neighbours_train=each("--neighbours-train", "neighbours_train"),
        neighbours_valid=each("--neighbours-valid", "neighbours_valid"),
        encoder=each("--encoder", "encoder"),
        index=each("--index", "index"),
        vectors=each("--vectors", "vectors"),
        retracted=each("--retracted", "retracted"),
    log:
        "<logs>/train_model/{model}/seed{seed}.log",
    benchmark:
        "<benchmarks>/train_model/{model}/seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    message:
        "Training {wildcards.model} with seed {wildcards.seed}"
    threads: 1
    resources:
        mem_mb=4000,
    shell:
        "python -m valm train-model --model {wildcards.model} --seed {wildcards.seed}"
        " --tokens {input.tokens} {params.neighbours_train} {params.neighbours_valid}"
        " {params.encoder} {params.index} {params.vectors} {params.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule train:
    input:
        expand(
            rules.train_model.output.manifest,
            model=model_names(),
            seed=STUDY.train.seeds,
        ),
