-- Grain: one row a (kpi_id, grain): what needs a decision in the latest complete period of each
-- grain.
with kpi_figures as (

    select * from {{ ref('kpi_values') }}

),

catalog as (

    select * from {{ ref('int_kpis__catalog_checked') }}

),

latest as (

    select
        grain,
        max(period_start_date) as period_start_date
    from kpi_figures
    where is_complete_period
    group by grain

),

alerting as (

    select
        kpi_figures.kpi_id,
        catalog.kpi_name,
        kpi_figures.grain,
        kpi_figures.period_start_date,
        catalog.unit,
        kpi_figures.value,
        kpi_figures.previous_value,
        kpi_figures.relative_change,
        kpi_figures.target,
        kpi_figures.lower_limit,
        kpi_figures.upper_limit,
        kpi_figures.signal_rule,
        kpi_figures.status,
        -- Off target and with a signal the wrong way at once: it will not go away by itself.
        case
            when
                kpi_figures.status = 'off_target'
                and catalog.good_direction = 'up'
                and kpi_figures.signal_rule in ('below_lower_limit', 'eight_below_mean')
                then 'critical'
            when
                kpi_figures.status = 'off_target'
                and catalog.good_direction = 'down'
                and kpi_figures.signal_rule in ('above_upper_limit', 'eight_above_mean')
                then 'critical'
            when kpi_figures.status in ('off_target', 'worsened') then 'warning'
            else 'notice'
        end as severity,
        catalog.action,
        catalog.caveats,
        catalog.owner
    from kpi_figures
    inner join latest
        on
            kpi_figures.grain = latest.grain
            and kpi_figures.period_start_date = latest.period_start_date
    inner join catalog
        on kpi_figures.kpi_id = catalog.kpi_id
    where
        kpi_figures.slice = 'all'
        and kpi_figures.status in ('off_target', 'worsened', 'improved', 'changed')

)

select * from alerting
