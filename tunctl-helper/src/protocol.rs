//! What a program and the helper say to each other: one [`Request`] and one [`Reply`], each of fixed length,
//! each one datagram of a `SOCK_SEQPACKET` pair. The reply to a request that is granted carries the device's
//! descriptor (`SCM_RIGHTS`).
//!
//! Numbers have the machine's byte order, because both ends run on it. What a request does not use is zero,
//! and the helper refuses a request where it is not. No message contains a text that the other end prints:
//! an error is a number, and the program that reports it knows the words.

mod reply;
mod request;

pub use reply::{Granted, REPLY_SIZE, Refusal, Reply, Step};
pub use request::{
    Address, Addresses, FLAGS, MAX_ADDRESSES, Malformed, NAME_SIZE, REQUEST_SIZE, Request, name_field,
};

/// The name of the protocol, and its version, at the start of each message.
const MAGIC: [u8; 8] = *b"tunctl\x00\x01";
