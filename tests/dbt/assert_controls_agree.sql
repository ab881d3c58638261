-- What the source counted when it was last loaded is what raw, staging and the table that people
-- read hold, less what is explained: rows of every table, and every amount of the sales lines to
-- the cent. A row here is a figure that differs. Raw differs: rows came later than the look-back, or
-- were deleted at the source; load with `python -m ingestion --reconcile`, or a table without a
-- cursor with `--full-refresh --table SOURCE.NAME`, and build again. A mart differs: build it with
-- `--full-refresh`; if the row stays, a model is wrong.
select *
from {{ ref('audit_controls') }}
where verdict = 'differs'
