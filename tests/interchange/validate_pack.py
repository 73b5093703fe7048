"""Validates the descriptions of a pack with the libraries of their standards, without a network.

    python validate_pack.py PACK

It runs in an environment of its own, which `test_validators.py` makes: roc-validator needs an older `rich` than the
newest one, and mlcroissant brings stubs of pandas.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlcroissant
import rocrate
from rocrate_validator import services
from rocrate_validator.models import Severity
from rocrate_validator.utils import document_loader

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
UNKNOWN = {  # to a run: who started it, and where ablation can be had
    "The Action SHOULD have an agent that is a Person or Organization",
    "The Application SHOULD have a url",
    "The SoftwareApplication id SHOULD be an absolute URI",
    "The Root Data Entity SHOULD have a link to a Contextual Entity representing the `author` of the RO-Crate",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
}


class Stored:
    """Answers requests for the context of RO-Crate from the copy that the package rocrate has, and no others."""

    status_code, ok, offline = 200, True, False
    headers = {"Content-Type": "application/ld+json"}
    text = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text("utf-8")
    content = text.encode()
    url = CONTEXT

    def get(self, url: str, **_: Any) -> "Stored":
        assert url == CONTEXT, url
        return self

    head = get

    def json(self) -> Any:
        return json.loads(self.text)

    @classmethod
    def initialize_cache(cls, **_: Any) -> "Stored":
        return cls()


def main(pack: Path) -> None:
    assert json.loads(Stored.text)["@id"] == CONTEXT
    document_loader._fetch_json_ld = lambda url: Stored().get(url).json()
    for name, module in list(sys.modules.items()):
        if name.startswith("rocrate_validator") and hasattr(module, "HttpRequester"):
            module.HttpRequester = Stored  # type: ignore[attr-defined]
    profile = {"rocrate_uri": str(pack), "profile_identifier": "process-run-crate-0.5"}
    found = services.validate({**profile, "requirement_severity": Severity.RECOMMENDED})
    issues = {issue.message for issue in found.get_issues()}
    print("RO-Crate:", sorted(issues - UNKNOWN) or "valid")
    described = mlcroissant.Dataset(pack / "croissant.json")  # raises if it is not valid
    splits = [row["splits/images"] for row in described.records("splits")]
    print("Croissant:", splits, [row["classes/name"] for row in described.records("classes")][:2])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
