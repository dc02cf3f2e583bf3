"""From encoded streams to tracks that are served by byte range: Shaka Packager's command lines, and what its files say of themselves."""
