"""The verbs of the command line, a file each; `kinema.cli` lists them. A verb is imported when it is used."""
