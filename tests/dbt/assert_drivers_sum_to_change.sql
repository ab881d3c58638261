-- What the drivers contributed adds up to the change of net sales, to the cent, and the change is
-- that of the KPI. A row here is a period whose explanation is not whole: kpi_values and kpi_drivers
-- are of different builds (`dbt build --select int_kpis__measures_unpivoted+`), or, if the row stays,
-- int_kpis__sales_compared takes other periods or lines than the catalog's KPI net_sales.
with summed as (

    select
        grain,
        period_start_date,
        decomposition,
        sum(contribution_usd) as contribution_usd,
        min(change_usd) as least_change_usd,
        max(change_usd) as change_usd
    from {{ ref('kpi_drivers') }}
    group by
        grain,
        period_start_date,
        decomposition

),

decompositions as (

    select 'households' as decomposition
    union all
    select 'departments' as decomposition

),

changes as (

    select
        kpi_values.grain,
        kpi_values.period_start_date,
        decompositions.decomposition,
        kpi_values.change as change_usd
    from {{ ref('kpi_values') }} as kpi_values
    cross join decompositions
    where
        kpi_values.kpi_id = 'net_sales'
        and kpi_values.slice = 'all'
        and kpi_values.change is not null

)

select
    coalesce(changes.grain, summed.grain) as grain,
    coalesce(changes.period_start_date, summed.period_start_date) as period_start_date,
    coalesce(changes.decomposition, summed.decomposition) as decomposition,
    changes.change_usd,
    summed.contribution_usd
from changes
full outer join summed
    on
        changes.grain = summed.grain
        and changes.period_start_date = summed.period_start_date
        and changes.decomposition = summed.decomposition
where
    changes.change_usd is distinct from summed.contribution_usd
    or summed.least_change_usd is distinct from summed.change_usd
