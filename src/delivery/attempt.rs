//! One batch on its way: a pure machine that says what to send next and
//! learns from each decision, until every line is settled.
//!
//! Lines are refused for good only when the server has shown that it takes
//! others: a line that failed on its own is a suspect until a sibling is
//! accepted. After [`BOUND`] refusals in a row it asks with single lines from
//! elsewhere in the batch; where those fail alike, it is the set-up that is
//! wrong and not the lines, so nothing is put aside.
//!
//! The lines of a series come to the server in their order, so those it asks
//! with are the next of their series: all before them are settled or have
//! failed on their own. One exception remains, for a batch that would wait for
//! ever otherwise: where nothing in it was accepted yet and a series has failed
//! [`BOUND`] times more, its last line is tried before those between. Lines
//! that are sent again, after an answer was lost or as one that is known to be
//! good, come a second time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::influx::policy::{Decision, RefusedLine};

/// Refusals in a row after which a line known or likely to be good is tried.
pub(super) const BOUND: u32 = 24;
/// Lines tried before everything is taken to fail alike.
const SAMPLES: usize = 8;

/// A batch of lines, by their indices.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    /// The lines, each ended by a newline.
    text: &'a [u8],
    total: usize,
    /// Still to be sent; the last comes next and is the leftmost.
    pieces: Vec<Piece>,
    /// Refused, but nothing has been accepted since.
    suspects: BTreeMap<usize, String>,
    /// Refused for good, not yet reported.
    refused: BTreeMap<usize, String>,
    /// A line the server has accepted.
    good: Option<usize>,
    /// Refusals since something was accepted.
    refusals: u32,
    /// Single lines to try before going on.
    samples: VecDeque<usize>,
    /// Lines reported as settled.
    reported: usize,
}

/// Lines from `begin` to before `end`, but for those in `without` (ascending).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) without: Vec<usize>,
}

/// What has become clear after a decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask [`Attempt::next`] again.
    GoOn,
    /// Every line is refused, whatever it is: the set-up is wrong.
    AllAlike {
        /// What the server said.
        why: String,
    },
}

/// Lines that need not be sent again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// All lines before this one.
    pub(super) upto: usize,
    /// Those of them that are new and were refused, with the server's words.
    pub(super) refused: Vec<(usize, String)>,
}

impl Piece {
    fn new(begin: usize, end: usize) -> Self {
        Self { begin, end, without: Vec::new() }
    }

    /// The lines it holds.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        (self.begin..self.end).filter(|index| self.without.binary_search(index).is_err())
    }

    /// How many lines it holds.
    pub(super) fn len(&self) -> usize {
        self.end - self.begin - self.without.len()
    }

    /// Cuts it into a left and a right half of nearly as many lines.
    fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.indices().nth(self.len() / 2).filter(|_| self.len() > 1)?;
        let part = |begin, end| Self {
            begin,
            end,
            without: self.without.iter().copied().filter(|i| (begin..end).contains(i)).collect(),
        };
        Some((part(self.begin, middle), part(middle, self.end)))
    }
}

impl<'a> Attempt<'a> {
    /// All `lines` of a batch, to be sent as a whole first.
    pub(super) fn new(lines: usize, text: &'a [u8]) -> Self {
        let pieces = if lines == 0 { Vec::new() } else { vec![Piece::new(0, lines)] };
        Self {
            text,
            total: lines,
            pieces,
            suspects: BTreeMap::new(),
            refused: BTreeMap::new(),
            good: None,
            refusals: 0,
            samples: VecDeque::new(),
            reported: 0,
        }
    }

    /// What to send next; `None` when every line is settled.
    pub(super) fn next(&self) -> Option<Piece> {
        match self.samples.front() {
            Some(line) => Some(Piece::new(*line, line + 1)),
            None => self.pieces.last().cloned(),
        }
    }

    /// Learns what the answer to [`Attempt::next`] meant. Waiting decisions
    /// (retry, pause) are the caller's and change nothing here.
    pub(super) fn learn(&mut self, decision: Decision) -> Verdict {
        let verdict = if self.samples.is_empty() {
            self.learn_of_piece(decision)
        } else {
            self.learn_of_sample(decision)
        };
        if verdict != Verdict::GoOn || !self.samples.is_empty() {
            return verdict;
        }
        if self.refusals >= BOUND {
            return self.take_samples();
        }
        if self.pieces.is_empty() && !self.suspects.is_empty() {
            if self.good.is_none() {
                return self.all_alike();
            }
            self.accepted();
        }
        Verdict::GoOn
    }

    fn learn_of_piece(&mut self, decision: Decision) -> Verdict {
        let Some(mut piece) = self.pieces.pop() else { return Verdict::GoOn };
        match decision {
            Decision::Delivered => {
                self.good = piece.indices().next().or(self.good);
                self.accepted();
            }
            Decision::DeliveredExcept(lines) => {
                let refused = named(&piece, lines);
                let good = piece.indices().find(|index| !refused.contains_key(index));
                self.refused.extend(refused);
                if good.is_some() {
                    self.good = good;
                    self.accepted();
                }
            }
            Decision::TakeOut(line) => {
                self.refusals += 1;
                let mut out = named(&piece, vec![line]);
                if let Some((index, words)) = out.pop_first() {
                    let at = piece.without.partition_point(|other| *other < index);
                    piece.without.insert(at, index);
                    self.suspects.insert(index, words);
                    if piece.len() > 0 {
                        self.pieces.push(piece);
                    }
                } else {
                    self.divide(&piece, "the server named a line that was not sent");
                }
            }
            Decision::Halve => {
                self.refusals += 1;
                self.divide(&piece, "too large for the server");
            }
            Decision::Bisect { why } => {
                self.refusals += 1;
                self.divide(&piece, &why);
            }
            Decision::Retry { .. } | Decision::Pause { .. } => self.pieces.push(piece),
        }
        Verdict::GoOn
    }

    fn divide(&mut self, piece: &Piece, why: &str) {
        if let Some((left, right)) = piece.halves() {
            self.pieces.push(right);
            self.pieces.push(left);
        } else if let Some(line) = piece.indices().next() {
            self.suspects.insert(line, why.to_owned());
        }
    }

    fn learn_of_sample(&mut self, decision: Decision) -> Verdict {
        let why = match decision {
            Decision::Retry { .. } | Decision::Pause { .. } => return Verdict::GoOn,
            Decision::Delivered => {
                self.good = self.samples.front().copied();
                self.samples.clear();
                self.accepted();
                return Verdict::GoOn;
            }
            Decision::DeliveredExcept(lines) => lines.into_iter().next().map(|line| line.message),
            Decision::TakeOut(line) => Some(line.message),
            Decision::Bisect { why } => Some(why),
            Decision::Halve => None,
        };
        if let Some(line) = self.samples.pop_front()
            && self.good.is_none()
        {
            self.take_out(line);
            self.suspects.insert(line, why.unwrap_or_else(|| "too large for the server".to_owned()));
        }
        if self.samples.is_empty() { self.all_alike() } else { Verdict::GoOn }
    }

    /// Takes a line out of the piece that holds it.
    fn take_out(&mut self, line: usize) {
        for piece in self.pieces.iter_mut().filter(|piece| (piece.begin..piece.end).contains(&line)) {
            if let Err(at) = piece.without.binary_search(&line) {
                piece.without.insert(at, line);
            }
        }
        self.pieces.retain(|piece| piece.len() > 0);
    }

    /// Chooses lines to try: one that was accepted before (sent twice, it
    /// changes nothing), else the next of some series from all over the batch,
    /// and one series to its end.
    fn take_samples(&mut self) -> Verdict {
        if let Some(good) = self.good {
            self.samples.push_back(good);
            return Verdict::GoOn;
        }
        let lines: Vec<&[u8]> = self.text.split_inclusive(|byte| *byte == b'\n').collect();
        let mut of_series: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut next = Vec::new();
        for index in self.pieces.iter().rev().flat_map(Piece::indices) {
            let series = lines.get(index).map_or(&[][..], |line| series(line));
            let others = of_series.entry(series).or_default();
            if others.is_empty() {
                next.push((series, index));
            }
            others.push(index);
        }
        let count = SAMPLES.min(next.len());
        self.samples = (1..=count).map(|n| next[n * next.len() / count - 1].1).collect();
        // The one that comes to its end first.
        let shortest =
            next.iter().rev().filter_map(|(series, _)| of_series.get(series)).min_by_key(|of| of.len());
        if let Some(shortest) = shortest {
            let (walk, rest) = shortest.split_at(shortest.len().min(BOUND as usize));
            for line in walk.iter().chain(rest.last()) {
                if !self.samples.contains(line) {
                    self.samples.push_back(*line);
                }
            }
        }
        if self.samples.is_empty() { self.all_alike() } else { Verdict::GoOn }
    }

    /// Something was accepted: the suspects are to blame themselves.
    fn accepted(&mut self) {
        self.refusals = 0;
        self.refused.append(&mut self.suspects);
    }

    fn all_alike(&self) -> Verdict {
        let why = self.suspects.values().next().cloned();
        Verdict::AllAlike { why: why.unwrap_or_else(|| "every line was refused".to_owned()) }
    }

    /// The lines that have been settled since this was asked last.
    pub(super) fn settled(&mut self) -> Option<Settled> {
        let sent = self.pieces.last().map_or(self.total, |piece| piece.begin);
        let upto = self.suspects.keys().next().map_or(sent, |suspect| sent.min(*suspect));
        if upto <= self.reported {
            return None;
        }
        let later = self.refused.split_off(&upto);
        let refused = std::mem::replace(&mut self.refused, later).into_iter().collect();
        self.reported = upto;
        Some(Settled { upto, refused })
    }
}

/// Measurement and tags of a line: up to the first space that is not escaped.
fn series(line: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = line.iter().position(|byte| {
        let ends = *byte == b' ' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}

/// The lines a server named by their place in a piece, by their place in the
/// batch.
fn named(piece: &Piece, lines: Vec<RefusedLine>) -> BTreeMap<usize, String> {
    lines
        .into_iter()
        .filter_map(|line| piece.indices().nth(line.index).map(|index| (index, line.message)))
        .collect()
}

#[cfg(test)]
mod tests;
