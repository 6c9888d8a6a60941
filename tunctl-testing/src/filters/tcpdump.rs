//! tcpdump as a compiler of filter expressions.

use std::process::Command;

use tunctl_core::Layer;
use tunctl_packet::bpf::{Instruction, Program};

/// What tcpdump makes of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compiled {
    Program(Program),
    /// It has seen that no packet can match.
    RejectsAll,
    /// It is no expression, for this reason.
    Refused(String),
}

/// Compiles an expression for packets of the layer, with libpcap's optimizer or without it.
pub(crate) fn compile(layer: Layer, expression: &str, optimized: bool) -> Result<Compiled, String> {
    let link_type = match layer {
        Layer::Tap => "EN10MB",
        Layer::Tun => "RAW",
    };
    let output = Command::new("tcpdump")
        .args(["-y", link_type, "-ddd"])
        .args((!optimized).then_some("-O"))
        .args(["--", expression])
        .output()
        .map_err(|error| format!("run tcpdump: {error}"))?;
    if output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        return program(&printed).map(Compiled::Program).map_err(|why| format!("{expression}: {why}"));
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok(if complaint.ends_with("expression rejects all packets") {
        Compiled::RejectsAll
    } else {
        Compiled::Refused(complaint)
    })
}

/// Reads a program in decimal numbers: their count, and a line for each instruction.
fn program(printed: &str) -> Result<Program, String> {
    let mut lines = printed.lines();
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok());
    let instructions: Option<Vec<_>> = lines.map(instruction).collect();
    let instructions = instructions.ok_or_else(|| format!("tcpdump printed {printed:?}"))?;
    if count != Some(instructions.len()) {
        return Err(format!("tcpdump printed {printed:?}"));
    }
    Program::new(instructions).map_err(|error| format!("tcpdump's program: {error}"))
}

fn instruction(line: &str) -> Option<Instruction> {
    let [code, jt, jf, k] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    Some(Instruction {
        code: code.parse().ok()?,
        jt: jt.parse().ok()?,
        jf: jf.parse().ok()?,
        k: k.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_as_tcpdump_prints_them() {
        let arp = "4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n";
        let kept = |ether_type: u8| program(arp).unwrap().run(&[&[0; 12][..], &[8, ether_type]].concat());
        assert_eq!((kept(6), kept(0)), (262_144, 0));
        assert!(program("2\n6 0 0 0\n").is_err() && program("1\n6 0 0\n").is_err() && program("").is_err());
    }
}
