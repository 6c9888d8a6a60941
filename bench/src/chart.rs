//! The ratios against their goals, as a picture.

use std::fmt::Write as _;

use crate::results::{Goal, Row};

const ROW: usize = 22;
const LEFT: usize = 330;
const WIDTH: usize = 480;
/// How many times its goal a ratio may be and fit.
const MOST: f64 = 2.0;

/// Bars of ratio ÷ goal, each as far beyond the line in the middle as it is beyond its goal. Where less is
/// better, it is goal ÷ ratio.
pub(crate) fn of<'a>(rows: impl Iterator<Item = (&'a str, &'a Row)>) -> String {
    let middle = LEFT + WIDTH / 2;
    let mut bars = String::new();
    let mut top = ROW;
    for (section, row) in rows {
        let Some(goal) = row.goal else { continue };
        let (ratio, limit) = (row.ratio.median, goal.limit());
        let (share, sign) = match goal {
            Goal::AtLeast(_) => (ratio / limit, "≥"),
            Goal::AtMost(_) => (limit / ratio, "≤"),
        };
        let colour = if goal.is_met(ratio) { "#4a8f5c" } else { "#c0504d" };
        let length = share.min(MOST) / MOST * WIDTH as f64;
        let text = top + 15;
        let _ = writeln!(
            bars,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{section}: {}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{text}\">{ratio:.2} ({sign} {limit}, beside {})</text>",
            LEFT - 8,
            row.case,
            top + 3,
            ROW - 6,
            LEFT + WIDTH + 8,
            row.reference_name,
        );
        top += ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{middle}\" y=\"15\" text-anchor=\"middle\">goal</text>\n{bars}\
         <line x1=\"{middle}\" x2=\"{middle}\" y1=\"{ROW}\" y2=\"{top}\" stroke=\"black\"/>\n</svg>\n",
        LEFT + WIDTH + 230,
        top + 8,
    )
}
