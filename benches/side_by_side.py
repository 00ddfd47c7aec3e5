"""One product of the side-by-side: builds an index of the passages in a directory, or opens it and asks.

side_by_side.py PRODUCT build|ask DIRECTORY, run by side_by_side.rs, which lays down vectors.npy and texts.jsonl,
queries.npy and queries.jsonl, and truth.npy (the ten nearest passages of each question). Prints one line of JSON.
Building and asking are two processes, so that the memory told is that of an index in use.
"""

import json
import os
import shutil
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LANCE_CPU_THREADS",
                 "RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS"):
    os.environ[variable] = "1"
os.environ["ANONYMIZED_TELEMETRY"] = "False"

import numpy as np

K = 10
# Passages given to a product at once.
BATCH = 5_000


class Faiss:
    """FAISS, flat: every vector is compared."""

    def __init__(self, place):
        import faiss
        faiss.omp_set_num_threads(1)
        self.faiss, self.file = faiss, place + ".index"
        self.place = self.file

    def build(self, vectors, texts):
        index = self.faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        self.faiss.write_index(index, self.file)

    def open(self):
        self.index = self.faiss.read_index(self.file)

    def nearest(self, vector):
        return self.index.search(vector[None], K)[1][0]


class Lance:
    """LanceDB without a vector index, which compares every vector, and with its full-text index."""

    def __init__(self, place):
        import lancedb
        self.place, self.lancedb = place, lancedb

    def build(self, vectors, texts):
        import pyarrow as pa
        width = vectors.shape[1]
        schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("vector", pa.list_(pa.float32(), width))])
        table = self.lancedb.connect(self.place).create_table("passages", schema=schema)
        for start in range(0, len(texts), BATCH * 4):
            part = vectors[start:start + BATCH * 4]
            column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), width)
            ids = pa.array(range(start, start + len(part)), pa.int64())
            words = pa.array(texts[start:start + len(part)])
            table.add(pa.Table.from_arrays([ids, words, column], schema=schema))
        self.index(table)

    def index(self, table):
        try:
            from lancedb.index import FTS
            table.create_index("text", config=FTS())
        except (ImportError, TypeError, AttributeError):
            table.create_fts_index("text", use_tantivy=False)

    def open(self):
        self.table = self.lancedb.connect(self.place).open_table("passages")

    def nearest(self, vector):
        query = self.table.search(vector, vector_column_name="vector").distance_type("cosine")
        return query.select(["id"]).limit(K).to_arrow()["id"].to_pylist()

    def words(self, text):
        return self.table.search(text, query_type="fts", fts_columns="text").select(["id", "text"]).limit(K).to_arrow()

    def hybrid(self, vector, text):
        query = self.table.search(query_type="hybrid", vector_column_name="vector", fts_columns="text")
        return query.vector(vector).text(text).distance_type("cosine").limit(K).to_arrow()


class LanceIndexed(Lance):
    """LanceDB with its default vector index (IVF_PQ)."""

    def index(self, table):
        table.create_index(metric="cosine", vector_column_name="vector")

    words = hybrid = None


class Chroma:
    """Chroma, which keeps a graph (HNSW)."""

    def __init__(self, place):
        import chromadb
        from chromadb.config import Settings
        self.place = place
        self.client = chromadb.PersistentClient(place, settings=Settings(anonymized_telemetry=False))

    def build(self, vectors, texts):
        collection = self.client.create_collection(
            "passages", metadata={"hnsw:space": "cosine", "hnsw:num_threads": 1}, embedding_function=None)
        for start in range(0, len(texts), BATCH):
            part = vectors[start:start + BATCH]
            ids = [str(number) for number in range(start, start + len(part))]
            collection.add(ids=ids, embeddings=part, documents=texts[start:start + len(part)])

    def open(self):
        self.collection = self.client.get_collection("passages", embedding_function=None)

    def nearest(self, vector):
        return [int(n) for n in self.collection.query(query_embeddings=[vector], n_results=K, include=[])["ids"][0]]


class Qdrant:
    """Qdrant's local mode, which compares every vector."""

    def __init__(self, place):
        from qdrant_client import QdrantClient
        self.place = place
        self.client = QdrantClient(path=place)

    def build(self, vectors, texts):
        from qdrant_client.models import Distance, PointStruct, VectorParams
        parameters = VectorParams(size=vectors.shape[1], distance=Distance.COSINE)
        self.client.create_collection("passages", vectors_config=parameters)
        for start in range(0, len(texts), BATCH):
            part = zip(vectors[start:start + BATCH], texts[start:start + BATCH])
            points = [PointStruct(id=start + at, vector=vector.tolist(), payload={"text": text})
                      for at, (vector, text) in enumerate(part)]
            self.client.upsert("passages", points)
        self.client.close()

    def open(self):
        pass

    def nearest(self, vector):
        found = self.client.query_points("passages", query=vector.tolist(), limit=K, with_payload=False)
        return [point.id for point in found.points]


PRODUCTS = {"faiss": Faiss, "lancedb": Lance, "lancedb-ivf": LanceIndexed, "chroma": Chroma, "qdrant": Qdrant}


def resident():
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:")), 0)


def size_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(path) for name in names)


def texts_in(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def median_of(work, inputs):
    """Milliseconds: of this process's processor time, and on the wall."""
    processor, wall = [], []
    work(*inputs[0])
    for one in inputs:
        started, used = time.perf_counter(), time.process_time()
        work(*one)
        processor.append((time.process_time() - used) * 1e3)
        wall.append((time.perf_counter() - started) * 1e3)
    return {"processor": float(np.median(processor)), "wall": float(np.median(wall))}


def build(product, directory):
    vectors, texts = np.load(directory + "/vectors.npy"), texts_in(directory + "/texts.jsonl")
    started, used = time.perf_counter(), time.process_time()
    product.build(vectors, texts)
    return {"processor": time.process_time() - used, "wall": time.perf_counter() - started}


def ask(product, directory):
    vectors, texts = np.load(directory + "/queries.npy"), texts_in(directory + "/queries.jsonl")
    truth = np.load(directory + "/truth.npy")
    product.open()
    found = [set(map(int, product.nearest(vector))) for vector in vectors]
    told = {
        "recall": float(np.mean([len(ids & set(exact.tolist())) / K for ids, exact in zip(found, truth)])),
        "vector": median_of(product.nearest, [(vector,) for vector in vectors]),
        "bytes": size_of(product.place),
    }
    if getattr(product, "words", None):
        told["text"] = median_of(product.words, [(text,) for text in texts])
    if getattr(product, "hybrid", None):
        told["hybrid"] = median_of(product.hybrid, list(zip(vectors, texts)))
    return told | {"resident": resident()}


def main():
    name, phase, directory = sys.argv[1:4]
    place = os.path.join(directory, name)
    if phase == "build" and os.path.exists(place):
        shutil.rmtree(place)
    product = PRODUCTS[name](place)
    print(json.dumps(build(product, directory) if phase == "build" else ask(product, directory)), flush=True)


if __name__ == "__main__":
    main()
