"""Images and patients: where they lie, how they are decoded and audited."""
