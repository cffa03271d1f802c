"""nginx's directives that neither let a stranger in nor keep them out."""

import re

_NAMES = """
    absolute_redirect access_log add_header add_trailer addition_types aio aio_write alias allow
    ancient_browser ancient_browser_value auth_basic auth_basic_user_file auth_delay auth_request
    auth_request_set break chunked_transfer_encoding connection_pool_size create_full_put_path dav_access
    dav_methods default_type deny directio directio_alignment disable_symlinks early_hints empty_gif
    error_log error_page etag expires flv gunzip gunzip_buffers gzip hls http2 http2_push http2_push_preload
    http3 if if_modified_since ignore_invalid_headers include index internal js_import js_path
    js_preload_object js_set js_shared_dict_zone js_var keepalive_disable keepalive_min_timeout
    keepalive_requests keepalive_time keepalive_timeout limit_except limit_rate limit_rate_after limit_zone
    listen location log_format log_not_found log_subrequest max_errors max_ranges merge_slashes
    min_delete_depth modern_browser modern_browser_value mp4 msie_padding msie_refresh open_log_file_cache
    output_buffers override_charset perl_modules perl_require perl_set port_in_redirect postpone_output
    random_index read_ahead real_ip_header real_ip_recursive recursive_error_pages request_pool_size
    reset_timedout_connection resolver resolver_timeout return rewrite rewrite_log root satisfy secure_link
    secure_link_md5 secure_link_secret send_lowat send_timeout sendfile sendfile_max_chunk server_name
    server_name_in_redirect server_tokens set set_real_ip_from slice source_charset ssl status_zone
    stub_status subrequest_output_buffer_size tcp_nodelay tcp_nopush try_files types underscores_in_headers
    uninitialized_variable_warn valid_referers
"""

_BEGINNINGS = """
    access_log_ autoindex brotli charset client_ fancyindex fastcgi_ geoip geoip2 grpc_ gzip_ headers_more
    hls_ http2_ http3_ image_filter large_client_header_buffers limit_conn limit_req lingering_ lua_
    map_hash_ memcached_ modsecurity more_clear_ more_set_ mp4_ open_file_cache proxy_ quic_ referer_hash_
    scgi_ server_names_hash_ ssi_ ssl_ sub_filter types_hash_ userid uwsgi_ variables_hash_
    vhost_traffic_status xml_ xslt_ zstd
"""

_BLOCKS = frozenset(
    ("geo", "geoip2", "keyval_zone", "map", "match", "server", "split_clients", "types", "upstream")
)
"""Blocks whose lines are not directives, or do not concern a server."""

_HANDLED = frozenset(_NAMES.split())
_BEGIN = re.compile("|".join(_BEGINNINGS.split()))


def is_known(name: str) -> bool:
    """Return whether it is known how a directive affects access."""
    return name in _HANDLED or name in _BLOCKS or _BEGIN.match(name) is not None


def is_foreign(name: str) -> bool:
    """Return whether the lines in its block are not directives that concern a server."""
    return name in _BLOCKS
