-- A KPI has one target at a time. A row here is a pair of targets that hold on the same day: end the
-- earlier one in seeds/kpi_targets.csv before the later one begins.
select
    earlier.kpi_id,
    earlier.grain,
    earlier.valid_to,
    later.valid_from
from {{ ref('kpi_targets') }} as earlier
inner join {{ ref('kpi_targets') }} as later
    on
        earlier.kpi_id = later.kpi_id
        and earlier.grain = later.grain
        and earlier.valid_from < later.valid_from
        and earlier.valid_to >= later.valid_from
