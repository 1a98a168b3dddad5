"""Readers of file formats: DICOM, NIfTI, XML and ordinary pictures."""
