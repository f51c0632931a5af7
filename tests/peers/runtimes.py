"""Runtimes that a checkpoint is converted for: each gives loops over batches of token ids and attention masks."""
import numpy as np


def openvino_loops(onnx, samples, threads, work):
    """Loops of OpenVINO by precision: f32, bf16 where the processor has it, and int8 by NNCF.

    `onnx` is the path of a plain f32 graph, `samples` are a few batches to calibrate with.
    """
    import nncf
    import openvino as ov

    core = ov.Core()
    graph = core.read_model(str(onnx))
    inputs = [node.get_any_name() for node in graph.inputs]

    def given(ids, mask):
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return {name: values[name] for name in inputs}

    small = work / "openvino-int8.xml"
    if not small.exists():
        data = nncf.Dataset(samples, lambda batch: given(*batch))
        ov.save_model(nncf.quantize(graph, data, model_type=nncf.ModelType.TRANSFORMER), str(small), compress_to_fp16=False)
    precisions = {"f32": (graph, "f32"), "int8": (core.read_model(str(small)), "f32")}
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        precisions["bf16"] = (graph, "bf16")

    def loop(graph, hint):
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(graph, "CPU", settings)

        def run(batches):
            for ids, mask in batches:
                compiled(given(ids, mask))[0].argmax(-1)

        return run

    return {precision: loop(*settings) for precision, settings in precisions.items()}


def ctranslate2_loops(checkpoint, classifier, threads, work):
    """Loops of CTranslate2 by precision: f32 and int8. It runs the encoder; the head is one product in NumPy.

    `checkpoint` is a directory of a BERT in the Hugging Face layout, `classifier` is the weight and the bias of its head.
    """
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    directory = work / "ctranslate2"
    if not directory.exists():
        import transformers

        # The converter knows the bare encoder.
        encoder = work / "encoder"
        transformers.AutoModel.from_pretrained(checkpoint, add_pooling_layer=False).save_pretrained(encoder)
        transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(encoder)
        TransformersConverter(str(encoder)).convert(str(directory))
    weight, bias = classifier

    def loop(compute_type):
        encoder = ctranslate2.Encoder(str(directory), device="cpu", compute_type=compute_type, inter_threads=1,
                                      intra_threads=threads)

        def run(batches):
            for ids, mask in batches:
                sequences = [row[: int(length)].tolist() for row, length in zip(ids, mask.sum(1))]
                hidden = np.array(encoder.forward_batch(sequences).last_hidden_state)
                (hidden @ weight.T + bias).argmax(-1)

        return run

    return {"f32": loop("float32"), "int8": loop("int8_float32")}
