"""Makes a tiny language model of random weights: enough to run all that a real one runs through, and nonsense to read.

    python3 tiny_gguf.py OUTPUT.gguf [--seed N] [--template chatml|none] [--context N] [--calls] [--endless]

A LLaMA of one layer in 32-bit floats, with a tokenizer of bytes, printable ASCII and a few words; about 200 kB, the same for
the same arguments. Needs the standard library alone. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
import random
import struct

WIDTH, HEADS, FEED_FORWARD = 32, 2, 64
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

ENDS = ("</s>", "<|im_end|>")

# Kinds of metadata and of tokens, and the kind of tensors.
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
TENSOR_F32, ALIGNMENT = 0, 32


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    form = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}
    return string(value) if kind == STRING else struct.pack(form[kind], value)


def entry(key, kind, value):
    return string(key) + struct.pack("<I", kind) + scalar(kind, value)


def array(key, kind, values):
    head = string(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(scalar(kind, value) for value in values)


def vocabulary():
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL)]
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    tokens += [(chr(code), NORMAL) for code in range(33, 127)] + [("\u2581", NORMAL)]
    tokens += [(word, NORMAL) for word in ("\u2581the", "\u2581a", "\u2581of", "th", "in", "er", "\u00e9", "\u6f22")]
    return tokens


def tensors(tokens, chance, calls, endless):
    """Names, shapes (the innermost dimension first) and numbers."""
    size = len(tokens)

    def matrix(name, inner, outer, spread):
        return name, (inner, outer), [chance.gauss(0, spread) for _ in range(inner * outer)]

    def ones(name):
        return name, (WIDTH,), [1.0] * WIDTH

    def row(token):
        at = [text for text, _ in tokens].index(token) * WIDTH
        return slice(at, at + WIDTH)

    embeddings = matrix("token_embd.weight", WIDTH, size, 1.0)
    if endless:
        # One direction is the same for all tokens, so that what points against it is never said.
        embeddings[2][::WIDTH] = [8.0] * size
    yield embeddings
    yield ones("blk.0.attn_norm.weight")
    for part in ("q", "k", "v", "output"):
        yield matrix(f"blk.0.attn_{part}.weight", WIDTH, WIDTH, 0.3)
    yield ones("blk.0.ffn_norm.weight")
    yield matrix("blk.0.ffn_gate.weight", WIDTH, FEED_FORWARD, 0.3)
    yield matrix("blk.0.ffn_up.weight", WIDTH, FEED_FORWARD, 0.3)
    yield matrix("blk.0.ffn_down.weight", FEED_FORWARD, WIDTH, 0.3)
    yield ones("output_norm.weight")
    output = matrix("output.weight", WIDTH, size, 0.3)
    if calls:
        output[2][row("{")] = [3 * number for number in embeddings[2][row("<0x0A>")]]
    if endless:
        output[2][::WIDTH] = [-100.0 if token in ENDS else 0.0 for token, _ in tokens]
    yield output


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("output")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--template", choices=("chatml", "none"), default="chatml")
    options.add_argument("--context", type=int, default=4096)
    options.add_argument("--calls", action="store_true", help="says `{` after every end of a line, and so at the start of an answer")
    options.add_argument("--endless", action="store_true", help="never ends an answer by itself")
    options = options.parse_args()

    tokens = vocabulary()
    metadata = [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny"),
        entry("llama.context_length", U32, options.context),
        entry("llama.embedding_length", U32, WIDTH),
        entry("llama.block_count", U32, 1),
        entry("llama.feed_forward_length", U32, FEED_FORWARD),
        entry("llama.attention.head_count", U32, HEADS),
        entry("llama.attention.head_count_kv", U32, HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        entry("llama.rope.dimension_count", U32, WIDTH // HEADS),
        entry("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, [text for text, _ in tokens]),
        array("tokenizer.ggml.scores", F32, [0.0 if kind != NORMAL else -float(at) for at, (_, kind) in enumerate(tokens)]),
        array("tokenizer.ggml.token_type", I32, [kind for _, kind in tokens]),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 4 if options.template == "chatml" else 2),
        entry("tokenizer.ggml.add_bos_token", BOOL, True),
    ]
    if options.template == "chatml":
        metadata.append(entry("tokenizer.chat_template", STRING, CHATML))

    described, data = [], b""
    for name, shape, numbers in tensors(tokens, random.Random(options.seed), options.calls, options.endless):
        head = string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        described.append(head + struct.pack("<IQ", TENSOR_F32, len(data)))
        data += struct.pack(f"<{len(numbers)}f", *numbers)
        data += bytes(-len(data) % ALIGNMENT)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(described), len(metadata)) + b"".join(metadata + described)
    with open(options.output, "wb") as output:
        output.write(head + bytes(-len(head) % ALIGNMENT) + data)


if __name__ == "__main__":
    main()
