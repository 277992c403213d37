"""What was not established, as a list of terms.

Owns the section's frame. Refuses to know what is on the list (``unknowns``).
"""

from __future__ import annotations

from classifiers.report.evidence import Evidence
from classifiers.report.parts import Section
from classifiers.report.unknowns import unknowns

__all__ = ["section"]


def section(evidence: Evidence) -> Section:
    """One list."""
    said = [(one.title, one.text) for one in unknowns(evidence)]
    aid = "The other half of a result: what a reader might take from this page and must not."
    return Section("limits", "What was not established", "Not established", aid, {"said": said})
