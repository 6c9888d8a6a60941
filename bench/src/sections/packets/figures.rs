//! From samples to figures.

use super::devices::{Role, Subject};
use super::rounds::{Case, Measured, Measurement};
use crate::results::{self, Row};
use crate::statistics::{Summary, ratios};

/// The goals for ours: what they are of, and how many times the cost of a raw call it may be.
pub(crate) const GOALS: [Goal; 2] = [
    Goal { role: Role::Plain, of: "recv and send", limit: 1.03 },
    Goal { role: Role::Task, of: "recv and send in a task", limit: 1.10 },
];

/// What a way of ours may cost.
pub(crate) struct Goal {
    role: Role,
    pub(crate) of: &'static str,
    pub(crate) limit: f64,
}

/// What one way to receive or send costs in one case.
pub(crate) struct Figure {
    pub(crate) case: Case,
    pub(crate) call: String,
    pub(crate) role: Role,
    /// `None`: of all interfaces together.
    pub(crate) interface: Option<&'static str>,
    /// Nanoseconds a packet.
    pub(crate) cost: Summary,
    /// To the raw call on the same interface in the same round; `None` for raw calls themselves.
    pub(crate) ratio: Option<Summary>,
}

/// The figures of a measurement, in the order of its cases and subjects.
pub(crate) struct Figures {
    pub(crate) all: Vec<Figure>,
    /// The least and greatest ratio of raw calls on one interface to the same on another: what lies between
    /// is noise.
    pub(crate) noise: (f64, f64),
}

impl Figures {
    /// `None` if something was never measured.
    pub(crate) fn new(subjects: &[Subject<'_>], measurement: &Measurement) -> Option<Self> {
        let raw: Vec<usize> =
            (0..subjects.len()).filter(|&subject| subjects[subject].role == Role::Raw).collect();
        let mut figures = Self { all: Vec::new(), noise: (f64::INFINITY, 0.0) };
        for Measured { case, samples } in &measurement.cases {
            figures.all.push(Figure {
                case: *case,
                call: subjects[*raw.first()?].call(case.direction),
                role: Role::Raw,
                interface: None,
                cost: Summary::of(raw.iter().flat_map(|&raw| samples[raw].iter().copied()))?,
                ratio: None,
            });
            for (subject, own) in subjects.iter().zip(samples) {
                let name = subject.kernel.name;
                let reference = *raw.iter().find(|&&raw| subjects[raw].kernel.name == name)?;
                let ratio = Summary::of(ratios(own, &samples[reference]))?;
                figures.all.push(Figure {
                    case: *case,
                    call: subject.call(case.direction),
                    role: subject.role,
                    interface: Some(name),
                    cost: Summary::of(own.iter().copied())?,
                    ratio: (subject.role != Role::Raw).then_some(ratio),
                });
            }
            for (&one, &other) in raw.iter().flat_map(|one| raw.iter().map(move |other| (one, other))) {
                let ratio = Summary::of(ratios(&samples[one], &samples[other]))?.median;
                let (least, greatest) = figures.noise;
                figures.noise = (least.min(ratio), greatest.max(ratio));
            }
        }
        Some(figures)
    }

    /// Ours, beside raw calls on the same interface.
    pub(super) fn rows(&self) -> Vec<Row> {
        let goal = |role| GOALS.iter().find(|goal| goal.role == role);
        let rows = self.all.iter().filter_map(|figure| {
            let goal = results::Goal::AtMost(goal(figure.role)?.limit);
            let raw = self.all.iter().find(|raw| {
                raw.role == Role::Raw && raw.case == figure.case && raw.interface == figure.interface
            })?;
            Some(Row {
                case: format!("{}, {} bytes", figure.call, figure.case.size),
                unit: "ns",
                ours: figure.cost,
                reference: raw.cost,
                reference_name: "raw",
                ratio: figure.ratio?,
                goal: Some(goal),
            })
        });
        rows.collect()
    }

    /// Our ratio farthest from a goal, and its case.
    pub(crate) fn worst(&self, goal: &Goal) -> Option<(f64, Case)> {
        let ours = self.all.iter().filter(|figure| figure.role == goal.role);
        ours.filter_map(|figure| Some((figure.ratio?.median, figure.case)))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
    }
}
