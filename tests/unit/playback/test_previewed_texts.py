"""Texts for whoever checks a version before it is announced: what encoding's check reads, and what it finds wrong."""

import re

import msgspec
import pytest

from kinema.model.playback import Device
from kinema.services.encoding.verification import NotVerified
from kinema.services.encoding.verification.texts import verify_texts
from kinema.services.playback import dash, hls
from tests.unit.playback.test_plays import opened

EDGE, TOKEN = "http://edge.test:8081", "payload.key.mac"


def texts_of(manifest):
    written = {
        "dash.mpd": dash.mpd(manifest, Device(), [EDGE], TOKEN),
        "hls.m3u8": hls.multivariant(manifest, Device()),
    }
    return written | {f"{track.name}.m3u8": hls.media(manifest, track, EDGE, TOKEN) for track in manifest.tracks}


async def check(manifest, texts):
    async def read(asset, version, name):
        assert (asset, version) == (manifest.asset, manifest.version)
        return texts[name]

    await verify_texts(manifest, read)


async def test_the_texts_of_real_tracks_pass(packaged):
    await check(packaged.manifest, texts_of(packaged.manifest))


@pytest.mark.parametrize(
    ("name", "pattern", "instead", "said"),
    [
        ("dash.mpd", r"indexRange=\"\d+", 'indexRange="1', "does not offer"),
        ("dash.mpd", r"codecs=\"avc1\.", 'codecs="avc3.', "something else"),
        ("dash.mpd", r"Duration=\"PT\d+", 'Duration="PT99', "another duration"),
        ("dash.mpd", r"</Period>", "", "cannot be read"),
        ("hls.m3u8", r"video-180p\.m3u8", "other.m3u8", "does not offer video-180p"),
        ("video-360p.m3u8", r"EXT-X-BYTERANGE:\d", "EXT-X-BYTERANGE:9", "not that of its file"),
        ("video-360p.m3u8", r"EXTINF:4", "EXTINF:3", "not that of its file"),
        ("video-360p.m3u8", r"#EXT-X-ENDLIST", "", "not that of its file"),
    ],
)
async def test_a_text_that_is_not_the_manifest_s_is_told(packaged, name, pattern, instead, said):
    texts = texts_of(packaged.manifest)
    changed = re.sub(pattern, instead, texts[name], count=1)
    assert changed != texts[name]
    with pytest.raises(NotVerified, match=said):
        await check(packaged.manifest, texts | {name: changed})


async def test_playback_previews_a_stored_version_to_services_alone(tmp_path):
    async with opened(tmp_path) as region:
        asset = await region.publish()
        path = f"/v1/internal/manifests/{asset}/1/dash.mpd"
        assert (await region.playback.get(path, headers=region.as_("operator"))).status_code == 403
        answer = await region.playback.get(path, headers=region.as_("service"))
        assert answer.status_code == 200
        assert "http://preview.invalid/m/preview/" in msgspec.json.decode(answer.content)["text"]
        missing = await region.playback.get(f"/v1/internal/manifests/{asset}/2/dash.mpd", headers=region.as_("service"))
        assert missing.status_code == 404
