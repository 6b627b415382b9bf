"""Files in TOML that people write: read whole into a model, with errors that say where they are wrong."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from streams.errors import BreachwatchError

M = TypeVar("M", bound=BaseModel)


def read_toml(model: type[M], file: Path, called: str = "") -> M:
    """What it says. Raises BreachwatchError that names the file, by what it is `called`, and each wrong field."""
    named = f"{called} {file}".strip()
    try:
        return model.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise BreachwatchError(f"{named}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BreachwatchError(f"{named}: not TOML: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])) or called}: {item['msg']}" for item in error.errors())
        raise BreachwatchError(f"{named}: {wrong}") from None
