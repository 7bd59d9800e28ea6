//! What happened to domains and is not in the record yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    journal::Event,
    model::{Frame, Happening},
};

/// The timelines as they were seen last, by domain.
#[derive(Debug, Default)]
pub(super) struct Timelines {
    known: HashMap<Uuid, Arc<[Happening]>>,
}

impl Timelines {
    /// What is new in `frame`, or has changed. A frame that never came here
    /// costs nothing: the timelines of the next one hold it still.
    pub(super) fn news(&mut self, frame: &Frame) -> Vec<Event> {
        let mut news = Vec::new();
        let mut seen = HashMap::with_capacity(self.known.len());
        for domain in frame.domains.iter().filter(|domain| !domain.timeline.is_empty()) {
            let identity = domain.identity();
            let now = &domain.timeline;
            let before = self.known.remove(&identity.uuid).unwrap_or_default();
            if !Arc::ptr_eq(&before, now) {
                for happening in now.iter().filter(|happening| !before.contains(happening)) {
                    let name = Arc::clone(&identity.name);
                    news.push(Event { uuid: identity.uuid, name, happening: happening.clone() });
                }
            }
            seen.insert(identity.uuid, Arc::clone(now));
        }
        self.known = seen;
        news
    }
}

/// Events on their way to the record, oldest first.
#[derive(Debug, Default)]
pub(super) struct Heard {
    waiting: VecDeque<Event>,
}

/// Events kept in memory while the record cannot take them.
const MOST: usize = 10_000;

impl Heard {
    pub(super) fn push(&mut self, news: Vec<Event>) {
        self.waiting.extend(news);
        let excess = self.waiting.len().saturating_sub(MOST);
        if excess > 0 {
            tracing::warn!("{excess} events are not recorded: the record has taken none for too long");
            self.waiting.drain(..excess);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All of them, as the record takes them.
    pub(super) fn all(&mut self) -> &[Event] {
        self.waiting.make_contiguous()
    }

    /// All are in the record.
    pub(super) fn kept(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{
        AngleScale, DomainDevices, DomainFrame, DomainRates, DomainReading, DomainState, HostLoad, Identity,
        Missing, MonoTime, WallTime, Why,
        frame::{Health, HostFacts},
        timeline::Weight,
    };

    fn happening(since: i64, at: i64, text: &str) -> Happening {
        Happening { at: WallTime(at), since: WallTime(since), text: text.into(), weight: Weight::Note }
    }

    fn frame(timelines: &[(u128, &Arc<[Happening]>)]) -> Frame {
        let why = Missing::new(Why::Inactive);
        let domain = |(uuid, timeline): &(u128, &Arc<[Happening]>)| {
            // Off: what ended it is told all the same.
            let identity = Identity { uuid: Uuid::from_u128(*uuid), id: None, name: "vm".into() };
            let reading = DomainReading::unanswered(
                Arc::new(identity),
                DomainState::Shutoff,
                WallTime(1),
                MonoTime(1),
                why,
            );
            Arc::new(DomainFrame {
                reading,
                rates: DomainRates::missing(why),
                devices: Arc::new(DomainDevices::default()),
                health: Health::Inactive,
                fresh: false,
                timeline: Arc::clone(timeline),
                job: None,
                last: None,
            })
        };
        Frame {
            cycle: 1,
            at: WallTime(1),
            mono: MonoTime(1),
            took: Duration::ZERO,
            interval: Duration::from_secs(1),
            host: Arc::new(HostFacts::default()),
            load: HostLoad::default(),
            scale: AngleScale::default(),
            domains: timelines.iter().map(domain).collect(),
        }
    }

    #[test]
    fn each_happening_is_news_once_and_again_when_it_changed() {
        let mut timelines = Timelines::default();
        let mut news = |of: &[(u128, &Arc<[Happening]>)]| -> Vec<(u128, String)> {
            let news = timelines.news(&frame(of));
            news.iter().map(|e| (e.uuid.as_u128(), e.happening.text.to_string())).collect()
        };
        let told = |uuid, text: &str| (uuid, text.to_owned());
        let one: Arc<[_]> = [happening(1, 1, "started"), happening(2, 2, "agent connected")].into();
        let other: Arc<[_]> = [happening(1, 1, "paused")].into();
        assert_eq!(
            news(&[(1, &one), (2, &other)]),
            [told(1, "started"), told(1, "agent connected"), told(2, "paused")]
        );
        assert!(news(&[(1, &one), (2, &other)]).is_empty());
        // The oldest has gone, one came again, one is new.
        let later: Arc<[_]> =
            [happening(2, 5, "agent connected (2 times)"), happening(6, 6, "stopped")].into();
        assert_eq!(
            news(&[(1, &later), (2, &other)]),
            [told(1, "agent connected (2 times)"), told(1, "stopped")]
        );
        assert!(news(&[(2, &other)]).is_empty());
    }

    #[test]
    fn what_cannot_be_kept_for_long_is_bounded() {
        let mut heard = Heard::default();
        for n in 0..30 {
            let event =
                |at| Event { uuid: Uuid::nil(), name: "vm".into(), happening: happening(at, at, "rebooted") };
            heard.push((0..1000).map(|m| event(n * 1000 + m)).collect());
        }
        assert_eq!(heard.all().len(), MOST);
        assert_eq!(heard.all().last().unwrap().happening.at, WallTime(29_999));
        heard.kept();
        assert!(heard.is_empty());
    }
}
