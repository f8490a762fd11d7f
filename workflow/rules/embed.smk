# Pictures and text -> an encoder, and the vectors of all pictures.


rule extract_features:
    input:
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        network=expand(rules.fetch_source.output.manifest, source=FEATURE_NETWORK),
    output:
        manifest="<results>/embed/features/features.manifest.json",
        data=["<results>/embed/features/features.npy"],
    params:
        section=section("extract-features"),
        code=code("extract-features"),
    log:
        "<logs>/extract_features.log",
    benchmark:
        "<benchmarks>/extract_features.tsv"
    conda:
        "../../envs/embed.yaml"
    message:
        "Extracting the features of all pictures"
    threads: 2
    resources:
        mem_mb=4000,
    shell:
        "python -m valm extract-features --pictures {input.pictures} --raw {input.network}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule make_encoder:
    input:
        unpack(features_inputs),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
    output:
        manifest="<results>/embed/encoder/encoder.manifest.json",
    params:
        section=section("make-encoder"),
        code=code("make-encoder"),
        features=each("--features", "features"),
    log:
        "<logs>/make_encoder.log",
    benchmark:
        "<benchmarks>/make_encoder.tsv"
    conda:
        "../../envs/embed.yaml"
    message:
        "Making the encoder"
    threads: 2
    resources:
        mem_mb=4000,
    shell:
        "python -m valm make-encoder --pictures {input.pictures} --tokens {input.tokens}"
        " --tokenizer {input.tokenizer} {params.features} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule embed_pictures:
    input:
        unpack(features_inputs),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        encoder=rules.make_encoder.output.manifest,
    output:
        manifest="<results>/embed/vectors/vectors.manifest.json",
        data=multiext("<results>/embed/vectors/", "keys.npy", "norms.npy", "values.npy"),
    params:
        section=section("embed-pictures"),
        code=code("embed-pictures"),
        features=each("--features", "features"),
    log:
        "<logs>/embed_pictures.log",
    benchmark:
        "<benchmarks>/embed_pictures.tsv"
    conda:
        "../../envs/embed.yaml"
    message:
        "Embedding all pictures"
    threads: 2
    resources:
        mem_mb=4000,
    shell:
        "python -m valm embed-pictures --pictures {input.pictures} --encoder {input.encoder}"
        " {params.features} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule embed:
    input:
        rules.embed_pictures.output.manifest,
