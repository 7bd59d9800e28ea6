//! Removing rows: counted as lost, as far as they wait, in the transaction that
//! deletes them.

use rusqlite::OptionalExtension as _;

use super::{Account, Error, Journal, open::Totals};

impl Journal {
    /// Counts rows as lost, as far as they wait, and removes them, in one
    /// transaction.
    pub(super) fn remove(&mut self, rows: &[i64], why: &str) -> Result<(), Error> {
        let mut account = self.account();
        let mut totals = self.totals;
        let mut as_known = true;
        for row in rows {
            let found = self
                .db
                .prepare_cached("SELECT part, lines, wanted FROM cycle WHERE seq = ?1")
                .and_then(|mut q| {
                    q.query_row([row], |r| {
                        Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, bool>(2)?))
                    })
                    .optional()
                })
                .map_err(self.failed("reading"))?;
            let Some((part, lines, wanted)) = found else {
                as_known = false;
                continue;
            };
            let lines = lines.unsigned_abs();
            let settled = match row.cmp(&self.cursor.row) {
                std::cmp::Ordering::Less => lines,
                std::cmp::Ordering::Equal => self.cursor.line.unsigned_abs().min(lines),
                std::cmp::Ordering::Greater => 0,
            };
            totals.rows = totals.rows.saturating_sub(1);
            totals.cycles = totals.cycles.saturating_sub(u64::from(part == 0));
            totals.lines = totals.lines.saturating_sub(lines);
            if wanted && settled < lines {
                as_known &= lines - settled <= totals.waiting;
                account.drop_lines(why, lines - settled);
                totals.waiting = totals.waiting.saturating_sub(lines - settled);
                totals.waiting_rows = totals.waiting_rows.saturating_sub(1);
            }
        }
        if !as_known {
            // Rows have changed without this program's doing.
            return self.remove_counted_anew(rows, why);
        }
        self.delete("removing rows", account, totals, rows)
    }

    /// As [`Journal::remove`], for rows whose words about themselves may be
    /// wrong: lost are the lines that no other row has.
    pub(super) fn remove_counted_anew(&mut self, rows: &[i64], why: &str) -> Result<(), Error> {
        let mut account = self.account();
        let (mut totals, _) = self.totals_without(rows).map_err(self.failed("counting"))?;
        // Others may be wrong as well: no more can wait than was emitted.
        totals.waiting = totals.waiting.min(account.emitted.saturating_sub(account.settled()));
        account.add(&account.difference(totals.waiting, why));
        self.delete("removing rows", account, totals, rows)
    }

    fn delete(
        &mut self,
        action: &'static str,
        account: Account,
        totals: Totals,
        rows: &[i64],
    ) -> Result<(), Error> {
        self.commit(action, account, totals, |tx| {
            for row in rows {
                tx.prepare_cached("DELETE FROM cycle WHERE seq = ?1")?.execute([row])?;
                tx.prepare_cached("DELETE FROM body WHERE seq = ?1")?.execute([row])?;
            }
            Ok(())
        })
    }
}
