//! What `tunctl pump` does to packets on their way.

use std::time::Duration;

use clap::Args;
use tunctl::pump::Wire;

use super::super::arguments::with;
use super::super::duration::with_unit;

/// No wire is longer, and a delay that is added to the clock stays far from its end.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub(super) struct WireArguments {
    /// Lose this share of the packets, such as 1% or 0.01
    #[arg(long, value_name = "SHARE", value_parser = share)]
    loss: Option<f64>,
    /// Hold this share of the packets back until three others have overtaken them, or a millisecond has
    /// passed
    #[arg(long, value_name = "SHARE", value_parser = share)]
    reorder: Option<f64>,
    /// Flip a bit in this share of the packets
    #[arg(long, value_name = "SHARE", value_parser = share)]
    corrupt: Option<f64>,
    /// Delay each packet, such as 10ms; 1,000 packets are on their way at most, and further ones are dropped
    #[arg(long, value_name = "TIME", value_parser = delay)]
    delay: Option<Duration>,
    /// Let so many bits a second pass each way, such as 100mbit; 1,000 packets wait at most, and further ones
    /// are dropped
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) rate: Option<u64>,
    /// Decides which packets are lost, held back and damaged: for the same packets always the same ones
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
}

impl WireArguments {
    /// The first option that does something to packets.
    pub(super) fn first(&self) -> Option<&'static str> {
        let given = [
            ("--loss", self.loss.is_some()),
            ("--reorder", self.reorder.is_some()),
            ("--corrupt", self.corrupt.is_some()),
            ("--delay", self.delay.is_some()),
            ("--rate", self.rate.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    pub(super) fn wire(&self) -> Wire {
        let mut wire = Wire::new().seed(self.seed);
        wire = with(wire, self.loss, Wire::loss);
        wire = with(wire, self.reorder, Wire::reordering);
        wire = with(wire, self.corrupt, Wire::corruption);
        wire = with(wire, self.delay, Wire::delay);
        with(wire, self.rate, Wire::rate)
    }
}

/// Parses a share: a percentage, or a number below one. A bare 1 is refused, since other programs take it for
/// one percent.
fn share(text: &str) -> Result<f64, &'static str> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share: f64 = number.trim_end().parse().map_err(|_| EXPECTED_SHARE)?;
    let share = share / whole;
    let is_share = if whole > 1.0 { (0.0..=1.0).contains(&share) } else { (0.0..1.0).contains(&share) };
    if is_share { Ok(share) } else { Err(EXPECTED_SHARE) }
}

const EXPECTED_SHARE: &str = "expected a percentage such as 1%, or a share below 1 such as 0.01";

fn delay(text: &str) -> Result<Duration, String> {
    let delay = with_unit(text)?;
    if delay > LONGEST_DELAY { Err("expected an hour at most".into()) } else { Ok(delay) }
}

/// Parses a rate, in the words of tc(8). Its `bps`, which are bytes, are refused: most people mean bits.
fn rate(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str =
        "expected a number with a unit, such as 100mbit: bit, kbit, mbit or gbit (a second)";
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix("/s").unwrap_or(&lower);
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let (number, unit) =
        units.into_iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, unit))).ok_or(EXPECTED)?;
    let bits = number.trim_end().parse::<f64>().map_err(|_| EXPECTED)? * unit;
    if !(1.0..=1e15).contains(&bits) {
        return Err("expected a rate from 1bit to 1000000gbit");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    Ok(bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_number_below_one() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.01"), Ok(0.01));
        assert_eq!(share("100%"), Ok(1.0));
        assert_eq!(share("12.5 %"), Ok(0.125));
        assert_eq!(share("0"), Ok(0.0));
        for text in ["1", "5", "101%", "-1%", "-0.1", "nan", "nan%", "inf%", "%", "", "one", "1%%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_delay_is_at_most_an_hour() {
        assert_eq!(delay("3600s"), Ok(LONGEST_DELAY));
        assert!(delay("3601s").is_err() && delay("1e300s").is_err());
    }

    #[test]
    fn a_rate_is_in_bits_a_second() {
        assert_eq!(rate("100mbit"), Ok(100_000_000));
        assert_eq!(rate("1.5Gbit/s"), Ok(1_500_000_000));
        assert_eq!(rate("64 kbit"), Ok(64_000));
        assert_eq!(rate("9600bit"), Ok(9600));
        for text in ["100", "0mbit", "-1mbit", "1mbps", "100MB", "nangbit", "infbit", "1e30bit", "mbit", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
