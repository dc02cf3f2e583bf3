"""The keys of a title for playback, which gives licences. Sealed: whoever overhears them learns nothing."""

from litestar import get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from kinema.core.ids import check_id
from kinema.model.protection import SealedKeys
from kinema.rpc.service import needs
from kinema.services.encoding.protection.keys import KeyStore


@get("/v1/internal/assets/{asset:str}/keys", operation_id="listKeys", tags=["internal"], guards=[needs("service")])
async def list_keys(asset: FromPath[str], key_store: KeyStore) -> SealedKeys:
    """The content keys of an asset, of all its versions, sealed by the region's key."""
    return await key_store.sealed(check_id(asset, "ast"))


KEY_ROUTES: tuple[ControllerRouterHandler, ...] = (list_keys,)
