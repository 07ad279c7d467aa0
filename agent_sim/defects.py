"""The names of defects of CloudStack's agent that a fleet can be told to be without.

They are those of the server's `--fix` (`mgmt.quirks`); a test compares the two.
"""

from __future__ import annotations

UNQUOTED_VDDK_LINE = "unquoted-vddk-line"
VDDK_READS_ORIGINAL = "vddk-reads-original"
PASSWORD_FILE_MODE = "password-file-mode"
EXPORT_FOLDER_LEFT = "export-folder-left"
BLANK_IN_VPX_URL = "blank-in-vpx-url"
HALF_CONVERTED_LEFT = "half-converted-left"
TEMPORARY_MOUNT_LEFT = "temporary-mount-left"
DOMAIN_XML_LEFT = "domain-xml-left"
REMOTE_COPY_LEFT = "remote-copy-left"
POOL_STAYS_UNMOUNTED = "pool-stays-unmounted"
LOST_ANSWER_FILES_LEFT = "lost-answer-files-left"
