# Models x tasks x controls x seeds -> answers, scores, intervals, tests.


rule prepare_task:
    input:
        raw=lambda wildcards: raw_manifests("evaluate.tasks", wildcards.task),
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
    output:
        manifest="<results>/evaluate/tasks/{task}.manifest.json",
    params:
        section=section("prepare-task"),
        code=code("prepare-task"),
        raw=each("--raw", "raw"),
    log:
        "<logs>/prepare_task/{task}.log",
    benchmark:
        "<benchmarks>/prepare_task/{task}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Preparing the task {wildcards.task}"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm prepare-task --task {wildcards.task} --tokenizer {input.tokenizer}"
        " --tokens {input.tokens} {params.raw} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule illustrate_task:
    input:
        request=rules.prepare_task.output.manifest,
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        encoder=rules.make_encoder.output.manifest,
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        index=searched_index(rules.build_index.output.manifest),
        index_data=ancient(searched_index(rules.build_index.output.data)),
        retracted=rules.list_retracted.output.manifest,
        retracted_data=ancient(rules.list_retracted.output.data),
    output:
        manifest="<results>/evaluate/pictures/{preset}/{task}.manifest.json",
    params:
        section=section("illustrate-task"),
        code=code("illustrate-task"),
    log:
        "<logs>/illustrate_task/{preset}/{task}.log",
    benchmark:
        "<benchmarks>/illustrate_task/{preset}/{task}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Finding the pictures of every token of the task {wildcards.task}, preset {wildcards.preset}"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm illustrate-task --task {wildcards.task} --preset {wildcards.preset}"
        " --request {input.request} --pictures {input.pictures} --encoder {input.encoder}"
        " --vectors {input.vectors} --index {input.index} --retracted {input.retracted}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule audit_leakage:
    input:
        requests=expand(rules.prepare_task.output.manifest, task=task_names()),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        retracted=rules.list_retracted.output.manifest,
        retracted_data=ancient(rules.list_retracted.output.data),
        tokens=rules.write_tokens.output.manifest,
        tokens_data=ancient(rules.write_tokens.output.data),
    output:
        manifest="<results>/evaluate/leakage.manifest.json",
        data=["<results>/evaluate/leakage.json"],
    params:
        section=section("audit-leakage"),
        code=code("audit-leakage"),
        requests=each("--requests", "requests"),
    log:
        "<logs>/audit_leakage.log",
    benchmark:
        "<benchmarks>/audit_leakage.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Looking for the evaluation in captions and training text"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm audit-leakage {params.requests} --pictures {input.pictures}"
        " --tokens {input.tokens} --retracted {input.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule evaluate_model:
    input:
        unpack(shown_inputs),
        request=rules.prepare_task.output.manifest,
        models=expand(
            rules.train_model.output.manifest,
            seed=STUDY.train.seeds,
            allow_missing=True,
        ),
        models_data=ancient(
            expand(
                rules.train_model.output.data,
                seed=STUDY.train.seeds,
                allow_missing=True,
            )
        ),
    output:
        manifest="<results>/evaluate/predictions/{model}/{task}.manifest.json",
        data=["<results>/evaluate/predictions/{model}/{task}.parquet"],
    params:
        section=section("evaluate-model"),
        code=code("evaluate-model"),
        models=each("--models", "models"),
        pictures=each("--pictures", "pictures"),
        vectors=each("--vectors", "vectors"),
        retracted=each("--retracted", "retracted"),
    log:
        "<logs>/evaluate_model/{model}/{task}.log",
    benchmark:
        "<benchmarks>/evaluate_model/{model}/{task}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Asking {wildcards.model} the questions of {wildcards.task}"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm evaluate-model --model {wildcards.model} --task {wildcards.task}"
        " --request {input.request} {params.models} {params.pictures} {params.vectors}"
        " {params.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule evaluate_baseline:
    input:
        request=rules.prepare_task.output.manifest,
    output:
        manifest="<results>/evaluate/baselines/{baseline}/{task}.manifest.json",
        data=["<results>/evaluate/baselines/{baseline}/{task}.parquet"],
    params:
        section=section("evaluate-baseline"),
        code=code("evaluate-baseline"),
    log:
        "<logs>/evaluate_baseline/{baseline}/{task}.log",
    benchmark:
        "<benchmarks>/evaluate_baseline/{baseline}/{task}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Asking {wildcards.baseline} the questions of {wildcards.task}"
    threads: 1
    resources:
        mem_mb=6000,
    shell:
        "python -m valm evaluate-baseline --baseline {wildcards.baseline} --task {wildcards.task}"
        " --request {input.request} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule look_at_prompts:
    input:
        models=expand(
            rules.train_model.output.manifest,
            model=looking_models(),
            seed=STUDY.train.seeds,
        ),
        models_data=ancient(
            expand(
                rules.train_model.output.data,
                model=looking_models(),
                seed=STUDY.train.seeds,
            )
        ),
        tokenizer=rules.train_tokenizer.output.manifest,
        tokenizer_data=ancient(rules.train_tokenizer.output.data),
        pictures=rules.list_pictures.output.manifest,
        pictures_data=ancient(rules.list_pictures.output.data),
        encoder=rules.make_encoder.output.manifest,
        vectors=rules.embed_pictures.output.manifest,
        vectors_data=ancient(rules.embed_pictures.output.data),
        index=searched_index(rules.build_index.output.manifest, SHOWN_PRESET),
        index_data=ancient(searched_index(rules.build_index.output.data, SHOWN_PRESET)),
        network=expand(
            rules.fetch_source.output.manifest,
            source=[FEATURE_NETWORK] if reads_features(STUDY) else [],
        ),
        retracted=rules.list_retracted.output.manifest,
        retracted_data=ancient(rules.list_retracted.output.data),
    output:
        manifest="<results>/evaluate/sights.manifest.json",
        data=["<results>/evaluate/sights.json"],
    params:
        section=section("look-at-prompts", preset=SHOWN_PRESET),
        code=code("look-at-prompts"),
        preset=SHOWN_PRESET,
        models=each("--models", "models"),
        raw=each("--raw", "network"),
    log:
        "<logs>/look_at_prompts.log",
    benchmark:
        "<benchmarks>/look_at_prompts.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Looking at what models see in a few prompts, and exchanging it"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm look-at-prompts {params.models} --tokenizer {input.tokenizer}"
        " --pictures {input.pictures} --encoder {input.encoder} --vectors {input.vectors}"
        " --index {input.index} {params.raw} --preset {params.preset}"
        " --retracted {input.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule score_models:
    input:
        predictions=predictions(rules.evaluate_model.output.manifest)
        + baseline_predictions(rules.evaluate_baseline.output.manifest),
        predictions_data=ancient(
            predictions(rules.evaluate_model.output.data)
            + baseline_predictions(rules.evaluate_baseline.output.data)
        ),
        requests=expand(rules.prepare_task.output.manifest, task=task_names()),
    output:
        manifest="<results>/evaluate/scores.manifest.json",
        metrics="<results>/evaluate/metrics.json",
        data=multiext(
            "<results>/evaluate/",
            "scores.parquet",
            "comparisons.parquet",
            "per_prompt.parquet",
        ),
    params:
        section=section("score-models"),
        code=code("score-models"),
        predictions=each("--predictions", "predictions"),
        requests=each("--requests", "requests"),
    log:
        "<logs>/score_models.log",
    benchmark:
        "<benchmarks>/score_models.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Scoring all models, with intervals and tests"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm score-models {params.predictions} {params.requests}"
        " --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule score_cell:
    input:
        unpack(shown_inputs),
        request=rules.prepare_task.output.manifest,
        trained=rules.train_model.output.manifest,
        trained_data=ancient(expand(rules.train_model.output.data, allow_missing=True)),
    output:
        manifest="<results>/evaluate/{model}/{task}/seed{seed}.manifest.json",
        data=["<results>/evaluate/{model}/{task}/seed{seed}.json"],
    params:
        section=section("score-cell"),
        code=code("score-cell"),
        pictures=each("--pictures", "pictures"),
        vectors=each("--vectors", "vectors"),
        retracted=each("--retracted", "retracted"),
    log:
        "<logs>/score_cell/{model}/{task}/seed{seed}.log",
    benchmark:
        "<benchmarks>/score_cell/{model}/{task}/seed{seed}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Scoring {wildcards.model} with seed {wildcards.seed} on {wildcards.task}"
    threads: 1
    resources:
        mem_mb=3000,
    shell:
        "python -m valm score-cell --model {wildcards.model} --task {wildcards.task}"
        " --seed {wildcards.seed} --request {input.request} --trained {input.trained}"
        " {params.pictures} {params.vectors} {params.retracted} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule score_changes:
    input:
        parts=expand("results/studies/{part}/evaluate/scores.manifest.json", part=PARTS),
    output:
        manifest="<results>/evaluate/changes.manifest.json",
        data=multiext("<results>/evaluate/change_", "scores.parquet", "differences.parquet"),
    params:
        section=section("score-changes"),
        code=code("score-changes"),
        parts=each("--parts", "parts"),
    log:
        "<logs>/score_changes.log",
    benchmark:
        "<benchmarks>/score_changes.tsv"
    conda:
        "../../envs/evaluate.yaml"
    message:
        "Scoring the recipe and each change, with intervals and tests"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "python -m valm score-changes {params.parts} --output {output.manifest}"
        " --section {params.section:q} --code {params.code} --threads {threads} --log {log}"


rule evaluate:
    input:
        rules.score_models.output.manifest,
        rules.score_models.output.metrics,
        rules.audit_leakage.output.manifest,
        rules.look_at_prompts.output.manifest,
