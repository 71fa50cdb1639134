"""Serves the files of kinto-attachment below /v1/files/, as a web server beside Kinto would."""


def includeme(config):
    config.add_static_view("files", config.registry.settings["attachment.base_path"])
