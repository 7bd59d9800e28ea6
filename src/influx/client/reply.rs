//! One HTTP answer, read within bounds.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response,
    header::{DATE, HeaderMap, LOCATION, RETRY_AFTER},
};

use crate::influx::policy::Answer;

/// Most of a body that is read; what follows is of no use to anybody.
const LONGEST_BODY: usize = 64 * 1024;

/// Status, headers and the body's beginning.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    /// Reads a response. A body that breaks off is taken as far as it came:
    /// the status has decided already.
    pub async fn read(mut response: Response) -> Self {
        let mut body = Vec::new();
        while body.len() < LONGEST_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(LONGEST_BODY);
        let mut body = String::from_utf8_lossy(&body).into_owned();
        let status = response.status().as_u16();
        // A redirect is not followed; where it leads is what matters.
        if (300..400).contains(&status)
            && let Some(place) = redirect(&response)
        {
            body = format!("redirects to {place}");
        }
        Self { status, headers: std::mem::take(response.headers_mut()), body }
    }

    /// Whether it is a web page, which no database answers.
    pub fn is_markup(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// As the policy takes it.
    pub fn into_answer(self) -> Answer {
        Answer::Http { status: self.status, retry_after: retry_after(&self.headers), body: self.body }
    }
}

/// The place a redirect names, without credentials and parameters.
fn redirect(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut url = response.url().join(location).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let bare = url.set_username("").is_ok() && url.set_password(None).is_ok();
    bare.then(|| url.to_string())
}

/// `Retry-After` as a span: seconds, or a date measured against the server's
/// own clock where it tells it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wish = text(RETRY_AFTER)?;
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(wish).ok()?;
    let now =
        text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_spans() {
        let wish = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            headers.insert(DATE, HeaderValue::from_static("Sat, 21 Nov 2026 08:44:00 GMT"));
            retry_after(&headers)
        };
        assert_eq!(wish("7"), Some(Duration::from_secs(7)));
        assert_eq!(wish("Sat, 21 Nov 2026 08:45:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(wish("Sat, 21 Nov 2026 08:40:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wish("soon"), None);
        assert_eq!(wish("-3"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
