"""Alerts as CAP 1.2 (OASIS Common Alerting Protocol, 1 July 2010), for systems that take alerts that way.

| alert | CAP | |
| --- | --- | --- |
| `alert_id` | `identifier` | a repeat of an alert has the same, so a reader drops it |
| - | `sender` | who runs the pipeline, as they are known to the reader |
| `at` | `sent` | with an offset in figures: CAP writes UTC as `-00:00` and never as `Z` (section 3.3.2) |
| `exercise` | `status` | `Exercise` or `Actual` |
| - | `msgType` | `Alert`: a correction is an alert of its own and does not say which alert it corrects |
| `forces` | `scope`, `addresses` | `Private` to these; `Restricted` where none is named |
| - | `category` | `Security`: law enforcement |
| `kind` | `event` | |
| `severity` | `urgency`, `severity` | see `_GRADES` |
| - | `certainty` | `Unknown`: how sure the pipeline is of a breach is on its task |
| `text` | `headline`, `description` | the headline's first 160 characters (section 3.2.2) |
| `task_id`, `subject_id`, `order_id`, `to` | `parameter` | |
"""

from datetime import datetime
from xml.etree import ElementTree

from schemas.tasks import Alert

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
_HEADLINE = 160
_GRADES = {
    "critical": ("Immediate", "Extreme"),
    "high": ("Immediate", "Severe"),
    "medium": ("Expected", "Moderate"),
    "low": ("Future", "Minor"),
}


def as_cap(alert: Alert, sender: str) -> bytes:
    """The XML document of one alert; `sender` has no space, comma, `<` or `&` in it (CAP 1.2 section 3.2.1)."""
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.Element(f"{{{NAMESPACE}}}alert")
    _add(root, "identifier", alert.alert_id)
    _add(root, "sender", sender)
    _add(root, "sent", _sent(alert.at))
    _add(root, "status", "Exercise" if alert.exercise else "Actual")
    _add(root, "msgType", "Alert")
    if alert.forces:
        _add(root, "scope", "Private")
        _add(root, "addresses", " ".join(map(_quoted, alert.forces)))
    else:
        _add(root, "scope", "Restricted")
        _add(root, "restriction", "control rooms")
    info = ElementTree.SubElement(root, f"{{{NAMESPACE}}}info")
    urgency, severity = _GRADES[alert.severity]
    _add(info, "language", "en-GB")
    _add(info, "category", "Security")
    _add(info, "event", alert.kind)
    _add(info, "urgency", urgency)
    _add(info, "severity", severity)
    _add(info, "certainty", "Unknown")
    _add(info, "headline", alert.text[:_HEADLINE])
    _add(info, "description", alert.text)
    for name in ("subject_id", "task_id", "order_id", "to"):
        value = getattr(alert, name)
        if value is not None:
            parameter = ElementTree.SubElement(info, f"{{{NAMESPACE}}}parameter")
            _add(parameter, "valueName", name)
            _add(parameter, "value", value)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = text


def _sent(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}-00:00"


def _quoted(address: str) -> str:
    return f'"{address}"' if " " in address else address
