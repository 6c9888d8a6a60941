//! The calls of a test, and the values in them, as Rust.

use std::fmt::Write as _;

use tunctl_core::{InterfaceName, MacFilter, NamePattern, Offloads};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::VnetFormat;

use crate::differential::op::{Also, On, Op, Patience, Verb};

/// The call that an operation is.
pub(super) fn expression(op: &Op) -> String {
    match op {
        Op::Attach { verb, flags, name, also, .. } => {
            let verb = match verb {
                Verb::Create => "create",
                Verb::Open => "open",
                Verb::OpenOrCreate => "open_or_create",
            };
            let options = options(*flags, name.as_deref()) + &also.map(said).unwrap_or_default();
            format!("backend.{verb}(&{options})")
        }
        Op::Duplicate { from, .. } => format!("d{from}.try_clone()"),
        Op::HandOver { slot } => format!("harness.adopt(harness.hand_over(d{slot}).unwrap()).unwrap()"),
        Op::Destroy { slot } => format!("d{slot}.destroy()"),
        Op::Send { slot, packet, cuts: None } => format!("d{slot}.try_send(&{})", literal(packet)),
        Op::Send { slot, packet, cuts: Some(cuts) } => {
            let pieces = crate::differential::world::pieces(packet, cuts);
            let pieces: Vec<_> =
                pieces.iter().map(|piece| format!("std::io::IoSlice::new(&{})", literal(piece))).collect();
            format!("d{slot}.try_send_vectored(&[{}])", pieces.join(", "))
        }
        Op::Receive { slot, patience, .. } => match patience {
            Patience::None => format!("d{slot}.try_recv(&mut buffer)"),
            Patience::NoTime => format!("d{slot}.recv_timeout(&mut buffer, std::time::Duration::ZERO)"),
            Patience::Interruptible { .. } => {
                format!("d{slot}.recv_until(&mut buffer, Some(std::time::Duration::ZERO), Some(&stop))")
            }
        },
        Op::ReceiveVectored { slot, .. } => {
            format!(
                "d{slot}.try_recv_vectored(&mut buffers.each_mut().map(|buffer| std::io::IoSliceMut::new(buffer)))"
            )
        }
        Op::Wait { slot, readiness } => {
            format!("d{slot}.wait(Readiness::{readiness:?}, Some(std::time::Duration::ZERO))")
        }
        Op::Listen { slot, patience } => {
            let next = match patience {
                Patience::None => "try_next()",
                Patience::NoTime => "next_until(Some(std::time::Duration::ZERO), None)",
                Patience::Interruptible { .. } => "next_until(Some(std::time::Duration::ZERO), Some(&stop))",
            };
            let events = format!("harness.events(Some(d{slot}.interface())).unwrap()");
            format!("{events}.and_then(|mut all| {{ while all.{next}?.is_some() {{}} Ok(()) }})")
        }
        Op::Name { slot } => format!("d{slot}.name()"),
        Op::SetPersist { slot, on } => format!("d{slot}.set_persist({on})"),
        Op::SetOwner { slot, id } => format!("d{slot}.set_owner(Uid::new({id}).unwrap())"),
        Op::SetGroup { slot, id } => format!("d{slot}.set_group(Gid::new({id}).unwrap())"),
        Op::Queue { slot, attached } => format!("harness.set_queue(&d{slot}, {attached}).unwrap()"),
        Op::SetOffloads { slot, offloads } => {
            format!("d{slot}.set_offloads({})", literal_offloads(*offloads))
        }
        Op::SetVnetFormat { slot, format } => {
            format!("d{slot}.set_vnet_format({})", vnet_format(*format))
        }
        Op::Offloads { slot } => format!("d{slot}.offloads()"),
        Op::Filter { slot, program } => {
            let program = program.as_ref().map_or_else(|| "None".to_owned(), literal_program);
            format!("harness.set_filter(&d{slot}, {program}).unwrap()")
        }
        Op::MacFilter { slot, filter } => {
            let filter = filter.as_ref().map_or_else(|| "None".to_owned(), mac_filter);
            format!("harness.set_mac_filter(&d{slot}, {filter}).unwrap()")
        }
        Op::Up { slot, address } => format!("d{slot}.up({address:?}.parse().unwrap())"),
        Op::Down { slot } => format!("d{slot}.down()"),
        Op::List => {
            "backend.interfaces().map(|all| all.iter().map(|one| plain(one.info().unwrap())).collect::<Vec<_>>())"
                .into()
        }
        Op::Interface { on: On::Slot(slot), call } => format!("d{slot}.interface().{}", call.method()),
        Op::Interface { on: On::Name(name), call } => {
            format!("backend.interface(&name({name:?})).and_then(|one| one.{})", call.method())
        }
        Op::Move { on: On::Slot(slot) } => format!("harness.move_by_handle(d{slot}.interface()).unwrap()"),
        Op::Move { on: On::Name(name) } => {
            format!("harness.move_by_handle(&backend.interface(&name({name:?})).unwrap()).unwrap()")
        }
        Op::Crowd { .. }
        | Op::Close { .. }
        | Op::Reply { .. }
        | Op::Caller(_)
        | Op::System(_)
        | Op::Survey => "()".into(),
    }
}

fn literal_program(program: &Program) -> String {
    let instructions = program.instructions();
    format!("Some(&{{ use tunctl_packet::bpf::*; Program::new(vec!{instructions:?}).unwrap() }})")
}

/// What options say beside flags and name.
fn said(also: Also) -> String {
    match also {
        Also::Index(index) => format!(".index(InterfaceIndex::new({index}).unwrap())"),
        Also::Offloads(offloads) => format!(".offloads({})", literal_offloads(offloads)),
        Also::VnetFormat(format) => format!(".vnet_format({})", vnet_format(format)),
        Also::Mtu(mtu) => format!(".mtu({mtu})"),
    }
}

fn literal_offloads(offloads: Offloads) -> String {
    format!("Offloads::from_bits({:#x}).unwrap()", offloads.bits())
}

fn vnet_format(VnetFormat { length, endian }: VnetFormat) -> String {
    format!("{{ use tunctl_packet::header::*; VnetFormat::new(VnetLength::{length:?}, Endian::{endian:?}) }}")
}

fn mac_filter(filter: &MacFilter) -> String {
    let mut text = String::new();
    for address in filter.addresses() {
        let _ = match text.is_empty() {
            true => write!(text, "Some(&MacFilter::of({address:?})"),
            false => write!(text, ".and({address:?}).unwrap()"),
        };
    }
    text + if filter.accepts_all_groups() { ".and_all_groups())" } else { ")" }
}

pub(super) fn options(flags: u16, name: Option<&str>) -> String {
    let options = format!("CreateOptions::from_bits({flags:#06x}).unwrap()");
    match name {
        None => options,
        Some(text) if NamePattern::new(text).is_ok() => {
            format!("{options}.name({text:?})")
        }
        Some(text) => format!("{options}.name(name({text:?}))"),
    }
}

pub(super) fn quoted(name: &InterfaceName) -> String {
    format!("name({:?})", name.to_string())
}

/// Equal bytes in a row that are told by their number.
const RUN: usize = 16;

/// Bytes as an array, or as several one after the other, where some are long and uniform.
pub(super) fn literal(bytes: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut single = Vec::new();
    for run in bytes.chunk_by(|one, next| one == next) {
        if run.len() < RUN {
            single.extend_from_slice(run);
            continue;
        }
        if !single.is_empty() {
            parts.push(array(&std::mem::take(&mut single)));
        }
        parts.push(format!("[{:#x}u8; {}]", run[0], run.len()));
    }
    if !single.is_empty() || parts.is_empty() {
        parts.push(array(&single));
    }
    match parts.as_slice() {
        [one] => one.clone(),
        several => format!(
            "[{}].concat()",
            several.iter().map(|part| format!("&{part}[..]")).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn array(bytes: &[u8]) -> String {
    let mut told: Vec<_> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
    match told.first_mut() {
        Some(first) => first.push_str("u8"),
        None => return "[0u8; 0]".into(),
    }
    format!("[{}]", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tunctl_packet::header::{Endian, VnetLength};

    #[test]
    fn another_header_is_told_whole() {
        let format = VnetFormat::new(VnetLength::Tunnel, Endian::Little);
        assert_eq!(
            expression(&Op::SetVnetFormat { slot: 2, format }),
            "d2.set_vnet_format({ use tunctl_packet::header::*; \
             VnetFormat::new(VnetLength::Tunnel, Endian::Little) })"
        );
    }

    #[test]
    fn long_runs_of_bytes_are_told_in_short() {
        assert_eq!(literal(&[]), "[0u8; 0]");
        assert_eq!(literal(&[1, 2, 2]), "[0x1u8, 0x2, 0x2]");
        assert_eq!(literal(&[0; 300]), "[0x0u8; 300]");
        let mixed = [&[1, 2][..], &[0; 20], &[3]].concat();
        assert_eq!(literal(&mixed), "[&[0x1u8, 0x2][..], &[0x0u8; 20][..], &[0x3u8][..]].concat()");
    }
}
