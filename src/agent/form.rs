//! In which form an answer is sent, and whether it has to be sent at all: by
//! what the caller says that it takes, and that it has.

use axum::http::{HeaderMap, HeaderValue, header};

/// How many forms there are.
pub(super) const FORMS: usize = 3;

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// `Content-Encoding: gzip`
    Gzip,
    /// `Content-Encoding: zstd`
    Zstd,
}

impl Form {
    /// All forms, each at its place.
    pub const ALL: [Self; FORMS] = [Self::Plain, Self::Gzip, Self::Zstd];

    /// Its place among all.
    pub const fn place(self) -> usize {
        self as usize
    }

    /// What tells its answers from those of the other forms.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "-g",
            Self::Zstd => "-z",
        }
    }

    /// The value of `Content-Encoding`.
    pub const fn encoding(self) -> Option<HeaderValue> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }

    /// The form that the caller likes best; of several that it likes as much,
    /// the one that is the least work.
    pub fn wanted(headers: &HeaderMap) -> Self {
        // What is not named is not taken, and the plain form always is: a
        // caller that refuses even that gets it all the same, which is allowed.
        let mut weights = [0.0_f32; FORMS];
        let mut any = None;
        let all = headers.get_all(header::ACCEPT_ENCODING).iter();
        for part in all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let (name, weight) = weighed(part);
            match name {
                "gzip" | "x-gzip" => weights[Self::Gzip.place()] = weight,
                "zstd" => weights[Self::Zstd.place()] = weight,
                "*" => any = Some(weight),
                _ => {}
            }
        }
        // `*` alone: whatever is not named. gzip is what everybody reads.
        if let Some(any) = any
            && weights.iter().all(|weight| *weight <= 0.0)
        {
            weights[Self::Gzip.place()] = any;
        }
        match weights {
            [_, gzip, zstd] if zstd > 0.0 && zstd >= gzip => Self::Zstd,
            [_, gzip, _] if gzip > 0.0 => Self::Gzip,
            _ => Self::Plain,
        }
    }
}

/// A name and its weight: `gzip;q=0.5`.
fn weighed(part: &str) -> (&str, f32) {
    let mut words = part.split(';').map(str::trim);
    let name = words.next().unwrap_or_default();
    let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
    let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
    (name, weight)
}

/// Whether the caller has the answer of this `tag` already.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let all = headers.get_all(header::IF_NONE_MATCH).iter();
    all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).any(
        |theirs| theirs == "*" || theirs == tag || theirs.strip_prefix("W/").is_some_and(|weak| weak == tag),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_form_is_one_that_the_caller_takes() {
        for (accepted, form) in [
            (&[][..], Form::Plain),
            (&["identity"], Form::Plain),
            (&["br, deflate"], Form::Plain),
            (&["gzip"], Form::Gzip),
            (&["gzip;q=0"], Form::Plain),
            (&["gzip;q=0.000, identity"], Form::Plain),
            (&["gzip;q=nonsense"], Form::Plain),
            (&["*"], Form::Gzip),
            (&["*;q=0"], Form::Plain),
            (&["gzip, deflate, br, zstd"], Form::Zstd),
            (&["gzip;q=1.0, zstd;q=0.5"], Form::Gzip),
            (&["deflate", "gzip ; q=0.2"], Form::Gzip),
            (&["zstd;q=0, *"], Form::Gzip),
        ] {
            assert_eq!(Form::wanted(&headers(&header::ACCEPT_ENCODING, accepted)), form, "{accepted:?}");
        }
        for (place, form) in Form::ALL.into_iter().enumerate() {
            assert_eq!(form.place(), place);
        }
    }

    #[test]
    fn an_answer_is_had_by_its_tag() {
        for (tags, had) in [
            (&[][..], false),
            (&["\"a-1\""], true),
            (&["W/\"a-1\""], true),
            (&["\"b\", \"a-1\""], true),
            (&["*"], true),
            (&["\"a-1-g\""], false),
            (&["a-1"], false),
        ] {
            assert_eq!(has(&headers(&header::IF_NONE_MATCH, tags), "\"a-1\""), had, "{tags:?}");
        }
    }
}
