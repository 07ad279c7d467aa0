"""The admin endpoints `/mock/`: reset, snapshots, clock, faults, journal, leaks, for tests in any language.

`routes.py` lists them, `face.py` answers, `openapi.py` describes them from that list.
"""

from mgmt.admin.face import AdminFace

__all__ = ["AdminFace"]
