//! Takes addresses and paths out of sentences: what the collector, delivery
//! and the record say of their troubles is written for the operator, and
//! callers see `***` in its place.

use std::path::Path;

use crate::{
    config::{self, Config, Socket},
    telemetry::{Json, answers::MASKED},
};

/// What no answer may hold, the longest first.
#[derive(Debug)]
pub(super) struct Mask(Vec<Hidden>);

#[derive(Debug, PartialEq, Eq)]
struct Hidden {
    text: String,
    /// Only as a word of its own: a host's name may be an everyday word.
    word: bool,
}

/// Fields whose values are names and words of ours, not sentences.
const PLAIN: [&str; 6] = ["api", "domain", "events", "influx_db", "name", "state"];

/// Shorter ones would hide words that mean something else.
const SHORTEST: usize = 4;

impl Mask {
    /// What `config` names of addresses and places.
    pub fn of(config: &Config) -> Self {
        let mut hidden = vec![config.libvirt.uri.clone(), config::masked(&config.libvirt.uri)];
        let mut hosts = Vec::new();
        if let Ok(uri) = url::Url::parse(&config.libvirt.uri) {
            hosts.extend(uri.host_str().map(str::to_owned));
            // The socket of a connection of one's own.
            hidden.extend(uri.query_pairs().map(|(_, value)| value.into_owned()));
        }
        if let Some(text) = &config.influx.url {
            hidden.push(text.trim_end_matches('/').to_owned());
            if let Ok(url) = url::Url::parse(text) {
                hosts.extend(url.host_str().map(str::to_owned));
                hosts.push(url.authority().to_owned());
                // As the writer names it: neither its scheme nor what follows.
                hosts.push(format!("{}{}", url.authority(), url.path().trim_end_matches('/')));
            }
        }
        if let config::Proxy::Url(text) = &config.influx.proxy {
            hidden.push(text.clone());
            hosts.extend(url::Url::parse(text).ok().and_then(|url| Some(url.host_str()?.to_owned())));
        }
        let influx = &config.influx;
        let agent = &config.agent;
        let paths = [
            &config.store.path,
            &influx.ca_file,
            &influx.client_cert,
            &influx.client_key,
            &agent.token_file,
            &agent.tls_cert,
            &agent.tls_key,
            &config.log.file,
        ];
        hidden.extend(paths.into_iter().flatten().flat_map(|path| places(path)));
        if let Socket::At(path) = &agent.socket {
            hidden.extend(places(path));
        }
        if let config::Auth::Token(Some(config::SecretSource::File(path)))
        | config::Auth::Basic { password: Some(config::SecretSource::File(path)), .. } = &influx.auth
        {
            hidden.extend(places(path));
        }
        let hidden = hidden.into_iter().map(|text| Hidden { text, word: false });
        let hosts = hosts.into_iter().map(|text| Hidden { text, word: true });
        let mut all: Vec<_> = hidden.chain(hosts).collect();
        all.retain(|hidden| hidden.text.len() >= if hidden.word { 2 } else { SHORTEST });
        all.sort_by_key(|hidden| std::cmp::Reverse(hidden.text.len()));
        all.dedup();
        Self(all)
    }

    /// `value` without them.
    pub fn over(&self, value: Json) -> Json {
        match value {
            Json::Text(text) => Json::Text(self.over_text(text)),
            Json::List(list) => Json::List(list.into_iter().map(|value| self.over(value)).collect()),
            Json::Object(fields) => {
                let over = |(name, value)| match value {
                    Json::Text(_) if PLAIN.contains(&name) => (name, value),
                    value => (name, self.over(value)),
                };
                Json::Object(fields.into_iter().map(over).collect())
            }
            Json::Map(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (self.over_text(name), self.over(value)));
                Json::Map(fields.collect())
            }
            plain => plain,
        }
    }

    fn over_text(&self, mut text: String) -> String {
        for hidden in &self.0 {
            if hidden.word {
                text = without_word(text, &hidden.text);
            } else if text.contains(&hidden.text) {
                text = text.replace(&hidden.text, MASKED);
            }
        }
        text
    }
}

/// `text` without `word` where it stands alone: neither within another word
/// nor as a part of a dotted name such as `influx.url`.
fn without_word(text: String, word: &str) -> String {
    if !text.contains(word) {
        return text;
    }
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let (mut told, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        told.push_str(before);
        let begins = !told.ends_with(|c| part(c) || c == '.');
        let mut next = after.chars();
        let ends = match next.next() {
            Some('.') => !next.next().is_some_and(part),
            next => !next.is_some_and(part),
        };
        told.push_str(if begins && ends { MASKED } else { word });
        rest = after;
    }
    told + rest
}

/// A path and the directories that lead to it, one of which may be what is
/// wrong. Those at the root (`/var`) tell nothing, and the parts of a relative
/// one may be words.
fn places(path: &Path) -> impl Iterator<Item = String> {
    let above = path.ancestors().skip(1);
    let telling = above.filter(|place| place.is_absolute() && place.components().count() > 2);
    std::iter::once(path).chain(telling).map(|place| place.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_places_go_and_words_stay() {
        let mut config = Config::default();
        config.libvirt.uri = "qemu+ssh://ann@hv-07.example/system?socket=/run/x/libvirt-sock-ro".into();
        config.influx.url = Some("https://db.example:8181/base/".into());
        config.store.path = Some("/var/lib/kvmscope".into());
        let mask = Mask::of(&config);
        let text = |text: &str| match mask.over(Json::List(vec![text.into()])) {
            Json::List(list) => serde_json::to_string(&list[0]).unwrap(),
            other => panic!("{other:?}"),
        };
        for (said, told) in [
            ("cannot write /var/lib/kvmscope/record.db: full", "\"cannot write ***/record.db: full\""),
            ("db.example:8181/base refused", "\"*** refused\""),
            ("/var/lib is not a directory, /var is", "\"*** is not a directory, /var is\""),
            ("https://db.example:8181/base refused", "\"*** refused\""),
            ("db.example has no address", "\"*** has no address\""),
            ("no socket at /run/x/libvirt-sock-ro", "\"no socket at ***\""),
            ("hv-07.example is down", "\"*** is down\""),
            ("web-1 does not answer", "\"web-1 does not answer\""),
        ] {
            assert_eq!(text(said), told);
        }
        config.influx.url = Some("http://influx:8181".into());
        let mask = Mask::of(&config);
        let told = mask.over(Json::Object(vec![
            ("name", "influx".into()),
            (
                "detail",
                "influx:8181 refused; influx is down: influx. See influx.url, influxdb, my-influx".into(),
            ),
        ]));
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"name":"influx","detail":"*** refused; *** is down: ***. See influx.url, influxdb, my-influx"}"#,
            "words that only look like a host's name stay"
        );
        let whole = text(&format!("{} and {}", config.libvirt.uri, config::masked(&config.libvirt.uri)));
        assert_eq!(whole, "\"*** and ***\"");
    }
}
