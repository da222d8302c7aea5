"""A task by name -> labelled images: drawn worlds, bundled and public sets, your folders."""
