"""The configuration: sections as models, one study, and what each verb reads of it."""
