# Raw files -> tar shards of pictures, documents, a vocabulary, token streams.


rule fetch_source:
    output:
        manifest="<results>/ingest/sources/{source}.manifest.json",
    params:
        section=section("fetch-source"),
        code=code("fetch-source"),
        pinned=lambda wildcards: source_named(wildcards.source).digest,
        data=lambda wildcards: data_folder(STUDY, wildcards.source),
        optional=lambda wildcards: (
            "--optional" if wildcards.source in optional_sources(STUDY) else ""
        ),
    log:
        "<logs>/fetch_source/{source}.log",
    benchmark:
        "<benchmarks>/fetch_source/{source}.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Fetching {wildcards.source}"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m valm fetch-source --source {wildcards.source} --data {params.data} {params.optional}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_pictures:
    input:
        raw=lambda wildcards: raw_manifests("ingest.pictures.sources", wildcards.source),
    output:
        manifest="<results>/ingest/pictures/{source}/pictures.manifest.json",
    params:
        section=section("write-pictures"),
        code=code("write-pictures"),
        raw=each("--raw", "raw"),
    log:
        "<logs>/write_pictures/{source}.log",
    benchmark:
        "<benchmarks>/write_pictures/{source}.tsv"
    wildcard_constraints:
        source="".join(f"(?!{source}/)" for source in PLANNED) + "[a-z0-9_]+",
    conda:
        "../../envs/ingest.yaml"
    message:
        "Writing the pictures of {wildcards.source} as tar shards"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-pictures --source {wildcards.source} {params.raw}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule list_urls:
    output:
        manifest="<results>/ingest/pictures/{source}/downloads/urls.manifest.json",
        data=["<results>/ingest/pictures/{source}/downloads/urls.parquet"],
    params:
        section=section("list-urls"),
        code=code("list-urls"),
        given=lambda wildcards: given_files(STUDY, "ingest.pictures.sources", wildcards.source),
    log:
        "<logs>/list_urls/{source}.log",
    benchmark:
        "<benchmarks>/list_urls/{source}.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Listing the addresses of {wildcards.source}'s pictures"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm list-urls --source {wildcards.source} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule download_pictures:
    input:
        urls=rules.list_urls.output.manifest,
        urls_data=ancient(rules.list_urls.output.data),
    output:
        manifest="<results>/ingest/pictures/{source}/downloads/{shard}.manifest.json",
        data=[
            "<results>/ingest/pictures/{source}/downloads/{shard}.tar",
            "<results>/ingest/pictures/{source}/downloads/{shard}.survivors.parquet",
        ],
    params:
        section=section("download-pictures"),
        code=code("download-pictures"),
    log:
        "<logs>/download_pictures/{source}/{shard}.log",
    benchmark:
        "<benchmarks>/download_pictures/{source}/{shard}.tsv"
    conda:
        "../../envs/download.yaml"
    message:
        "Downloading shard {wildcards.shard} of {wildcards.source}"
    threads: 1
    resources:
        mem_mb=8000,
    shell:
        "python -m valm download-pictures --source {wildcards.source} --shard {wildcards.shard}"
        " --urls {input.urls} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_picture_shard:
    input:
        unpack(shard_inputs),
    output:
        manifest="<results>/ingest/pictures/{source}/{shard}.manifest.json",
        data=[
            "<results>/ingest/pictures/{source}/{shard}.tar",
            "<results>/ingest/pictures/{source}/{shard}.parquet",
        ],
    params:
        section=section("write-picture-shard"),
        code=code("write-picture-shard"),
        given=lambda wildcards: given_files(STUDY, "ingest.pictures.sources", wildcards.source),
        downloaded=each("--downloaded", "downloaded"),
    log:
        "<logs>/write_picture_shard/{source}/{shard}.log",
    benchmark:
        "<benchmarks>/write_picture_shard/{source}/{shard}.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Writing shard {wildcards.shard} of {wildcards.source}"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-picture-shard --source {wildcards.source} --shard {wildcards.shard}"
        " {params.downloaded} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule gather_pictures:
    input:
        shards=lambda wildcards: expand(
            rules.write_picture_shard.output.manifest,
            source=wildcards.source,
            shard=shard_names(wildcards.source),
        ),
    output:
        manifest="<results>/ingest/pictures/{source}/pictures.manifest.json",
        data=["<results>/ingest/pictures/{source}/shards.parquet"],
    params:
        section=section("gather-pictures"),
        code=code("gather-pictures"),
        shards=lambda wildcards: PLANNED[wildcards.source][0],
    log:
        "<logs>/gather_pictures/{source}.log",
    benchmark:
        "<benchmarks>/gather_pictures/{source}.tsv"
    wildcard_constraints:
        source="|".join(PLANNED) or "none",
    conda:
        "../../envs/ingest.yaml"
    message:
        "Listing the shards of {wildcards.source}"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m valm gather-pictures --source {wildcards.source} --shards {params.shards}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule list_pictures:
    input:
        pictures=expand(rules.write_pictures.output.manifest, source=STUDY.ingest.pictures.sources),
    output:
        manifest="<results>/ingest/pictures/list.manifest.json",
        data=["<results>/ingest/pictures/list.parquet"],
    params:
        section=section("list-pictures"),
        code=code("list-pictures"),
        pictures=each("--pictures", "pictures"),
    log:
        "<logs>/list_pictures.log",
    benchmark:
        "<benchmarks>/list_pictures.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Numbering the pictures and marking near-duplicates"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm list-pictures {params.pictures} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule list_retracted:
    input:
        unpack(retracted_inputs),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
    output:
        manifest="<results>/ingest/pictures/retracted.manifest.json",
        data=["<results>/ingest/pictures/retracted.npy"],
    params:
        section=section("list-retracted"),
        code=code("list-retracted"),
        file=each("--file", "file"),
    log:
        "<logs>/list_retracted.log",
    benchmark:
        "<benchmarks>/list_retracted.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Finding the pictures that have been taken down"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m valm list-retracted --pictures {input.pictures} {params.file}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_text:
    input:
        unpack(text_source_inputs),
    output:
        manifest="<results>/ingest/text/{source}.manifest.json",
        data=["<results>/ingest/text/{source}.txt.xz"],
    params:
        section=section("write-text"),
        code=code("write-text"),
        given=lambda wildcards: given_files(STUDY, "ingest.text.sources", wildcards.source),
        raw=each("--raw", "raw"),
        pictures=each("--pictures", "pictures"),
    log:
        "<logs>/write_text/{source}.log",
    benchmark:
        "<benchmarks>/write_text/{source}.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Writing the documents of {wildcards.source}"
    threads: lambda wildcards: side_by_side("ingest.text.sources", wildcards.source)
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-text --source {wildcards.source} {params.raw} {params.pictures}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule train_tokenizer:
    input:
        text=expand(rules.write_text.output.manifest, source=text_sources(STUDY)),
        text_data=ancient(expand(rules.write_text.output.data, source=text_sources(STUDY))),
    output:
        manifest="<results>/ingest/tokenizer/tokenizer.manifest.json",
        data=["<results>/ingest/tokenizer/tokenizer.json"],
    params:
        section=section("train-tokenizer"),
        code=code("train-tokenizer"),
        text=each("--text", "text"),
    log:
        "<logs>/train_tokenizer.log",
    benchmark:
        "<benchmarks>/train_tokenizer.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Training the vocabulary"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm train-tokenizer {params.text} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule list_phrases:
    input:
        raw=lambda wildcards: raw_manifests("evaluate.tasks", wildcards.task),
    output:
        manifest="<results>/ingest/phrases/{task}.manifest.json",
        data=[
            "<results>/ingest/phrases/{task}.hashes.npy",
            "<results>/ingest/phrases/{task}.items.npy",
        ],
    params:
        section=section("list-phrases"),
        code=code("list-phrases"),
        raw=each("--raw", "raw"),
    log:
        "<logs>/list_phrases/{task}.log",
    benchmark:
        "<benchmarks>/list_phrases/{task}.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Listing the phrases of {wildcards.task}"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "python -m valm list-phrases --task {wildcards.task} {params.raw} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule write_tokens:
    input:
        text=expand(rules.write_text.output.manifest, source=text_sources(STUDY)),
        text_data=ancient(expand(rules.write_text.output.data, source=text_sources(STUDY))),
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        phrases=phrases_to_remove(),
    output:
        manifest="<results>/ingest/tokens/tokens.manifest.json",
        data=expand(
            "<results>/ingest/tokens/{split}.{part}",
            split=["train", "valid", "test"],
            part=["bin", "documents.npy", "sources.npy", "came_with.npy"],
        ),
    params:
        section=section("write-tokens"),
        code=code("write-tokens"),
        text=each("--text", "text"),
        phrases=each("--phrases", "phrases"),
    log:
        "<logs>/write_tokens.log",
    benchmark:
        "<benchmarks>/write_tokens.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Writing the token streams"
    threads: max(side_by_side("ingest.text.sources", source) for source in text_sources(STUDY))
    resources:
        mem_mb=2000,
    shell:
        "python -m valm write-tokens {params.text} --tokenizer {input.tokenizer} {params.phrases}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule measure_overlap:
    input:
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        phrases=expand(rules.list_phrases.output.manifest, task=compared_tasks(STUDY)),
        phrases_data=ancient(expand(rules.list_phrases.output.data, task=compared_tasks(STUDY))),
    output:
        manifest="<results>/ingest/tokens/overlap.manifest.json",
        data=["<results>/ingest/tokens/overlap.json"],
    params:
        section=section("measure-overlap"),
        code=code("measure-overlap"),
        phrases=each("--phrases", "phrases"),
    log:
        "<logs>/measure_overlap.log",
    benchmark:
        "<benchmarks>/measure_overlap.tsv"
    conda:
        "../../envs/ingest.yaml"
    message:
        "Comparing the training text with the evaluation sets"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm measure-overlap --tokens {input.tokens} --tokenizer {input.tokenizer}"
        " {params.phrases} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule ingest:
    input:
        expand(
            rules.fetch_source.output.manifest,
            source=required_sources(STUDY) + optional_sources(STUDY),
        ),
        rules.list_pictures.output.manifest,
        rules.list_retracted.output.manifest,
        rules.write_tokens.output.manifest,
        overlap_report(),
