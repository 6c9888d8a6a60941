//! The properties of tunctl-packet and of the helper, compiled once for all fuzz targets.

#![forbid(unsafe_code)]

#[path = "../../tunctl-helper/tests/properties/mod.rs"]
mod helper;
#[path = "../../tunctl-packet/tests/properties/mod.rs"]
mod packet;

macro_rules! expose {
    ($properties:ident: $($name:ident),*) => {$(
        /// The property of this name: it panics if it doesn't hold for the bytes.
        pub fn $name(bytes: &[u8]) {
            $properties::$name(bytes);
        }
    )*};
}

expose!(helper: helper_policy, helper_request);
expose!(packet:
    address_family,
    bpf,
    coalesce,
    echo_message,
    echo_reply,
    echo_responder,
    expression,
    filter,
    framed,
    packet_info,
    packet_tap,
    packet_too_big,
    packet_tun,
    reset,
    split,
    time_exceeded,
    unreachable,
    vnet
);
