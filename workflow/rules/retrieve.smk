# Vectors and token streams -> faiss indices, their recall, the pictures of every token.


rule build_index:
    input:
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        retracted=rules.list_retracted.output.manifest,
        retracted_data=ancient(rules.list_retracted.output.data),
    output:
        manifest="<results>/retrieve/indices/{index}.manifest.json",
        data=["<results>/retrieve/indices/{index}.faiss"],
    params:
        section=section("build-index"),
        code=code("build-index"),
    log:
        "<logs>/build_index/{index}.log",
    benchmark:
        "<benchmarks>/build_index/{index}.tsv"
    conda:
        "../../envs/retrieve.yaml"
    message:
        "Building the index {wildcards.index}"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm build-index --vectors {input.vectors} --index {wildcards.index}"
        " --retracted {input.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule measure_recall:
    input:
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        indices=expand(rules.build_index.output.manifest, index=index_names()),
        indices_data=ancient(expand(rules.build_index.output.data, index=index_names())),
        encoder=rules.make_encoder.output.manifest,
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
        retracted=rules.list_retracted.output.manifest,
        retracted_data=ancient(rules.list_retracted.output.data),
    output:
        manifest="<results>/retrieve/recall.manifest.json",
        data=["<results>/retrieve/recall.json"],
    params:
        section=section("measure-recall"),
        code=code("measure-recall"),
        indices=each("--indices", "indices"),
    log:
        "<logs>/measure_recall.log",
    benchmark:
        "<benchmarks>/measure_recall.tsv"
    conda:
        "../../envs/retrieve.yaml"
    message:
        "Measuring the recall of every index"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm measure-recall --vectors {input.vectors} {params.indices}"
        " --encoder {input.encoder} --tokens {input.tokens} --retracted {input.retracted}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule find_neighbours:
    input:
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
        encoder=rules.make_encoder.output.manifest,
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        index=searched_index(rules.build_index.output.manifest),
        index_data=ancient(searched_index(rules.build_index.output.data)),
    output:
        manifest="<results>/retrieve/neighbours/{preset}/{split}.manifest.json",
        data=multiext(
            "<results>/retrieve/neighbours/{preset}/{split}",
            ".ids.npy",
            ".scores.npy",
            ".mask.npy",
            ".values.npy",
        ),
    params:
        section=section("find-neighbours"),
        code=code("find-neighbours"),
    log:
        "<logs>/find_neighbours/{preset}/{split}.log",
    benchmark:
        "<benchmarks>/find_neighbours/{preset}/{split}.tsv"
    conda:
        "../../envs/retrieve.yaml"
    message:
        "Finding the pictures of every token of {wildcards.split}, preset {wildcards.preset}"
    threads: 2
    resources:
        mem_mb=4000,
    shell:
        "python -m valm find-neighbours --preset {wildcards.preset} --split {wildcards.split}"
        " --tokens {input.tokens} --encoder {input.encoder} --vectors {input.vectors}"
        " --index {input.index} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule show_pictures:
    input:
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        encoder=rules.make_encoder.output.manifest,
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        index=searched_index(rules.build_index.output.manifest, SHOWN_PRESET),
        index_data=ancient(searched_index(rules.build_index.output.data, SHOWN_PRESET)),
    output:
        manifest="<results>/retrieve/prompts.manifest.json",
        data=["<results>/retrieve/prompts.json"],
    params:
        section=section("show-pictures", preset=SHOWN_PRESET),
        code=code("show-pictures"),
        preset=SHOWN_PRESET,
    log:
        "<logs>/show_pictures.log",
    benchmark:
        "<benchmarks>/show_pictures.tsv"
    conda:
        "../../envs/retrieve.yaml"
    message:
        "Listing the pictures that a few prompts retrieve"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm show-pictures --tokenizer {input.tokenizer} --encoder {input.encoder}"
        " --vectors {input.vectors} --index {input.index} --preset {params.preset}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule retrieve:
    input:
        expand(
            rules.find_neighbours.output.manifest,
            preset=cached_presets(),
            split=["train", "valid"],
        ),
        rules.measure_recall.output.manifest,
        rules.show_pictures.output.manifest,
