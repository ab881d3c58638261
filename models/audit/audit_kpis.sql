-- Grain: one row a (kpi_id, grain, period_start_date, slice, slice_value): every row of kpi_values,
-- and every figure that the raw tables have and kpi_values has not.
with reported as (

    select * from {{ ref('kpi_values') }}

),

measures as (

    select * from {{ ref('audit_measures') }}

),

catalog as (

    select * from {{ ref('kpi_catalog') }}

),

-- The latest period with sales, of the raw tables: kpi_values may lack it.
latest as (

    select
        grain,
        max(period_start_date) as period_start_date
    from measures
    where measure_id = 'net_sales_usd'
    group by grain

),

keys as (

    select
        kpi_id,
        grain,
        period_start_date,
        slice,
        slice_value
    from reported
    union distinct
    select
        catalog.kpi_id,
        measures.grain,
        measures.period_start_date,
        measures.slice,
        measures.slice_value
    from catalog
    inner join measures
        on
            measures.measure_id in (catalog.numerator_measure, catalog.denominator_measure)
            and {{ dbt.concat(["' '", 'catalog.published_slices', "' '"]) }}
            like {{ dbt.concat(["'% '", 'measures.slice', "'/'", 'measures.grain', "' %'"]) }}
    -- Measures of periods after the latest, such as the retention of one that has not begun, are
    -- of no figure yet.
    inner join latest
        on
            measures.grain = latest.grain
            and measures.period_start_date <= latest.period_start_date
    where measures.period_start_date >= catalog.valid_from

),

recomputed as (

    select
        keys.kpi_id,
        keys.grain,
        keys.period_start_date,
        keys.slice,
        keys.slice_value,
        catalog.denominator_measure is not null as is_ratio,
        coalesce(numerators.measure_value, 0) as numerator,
        case
            when catalog.denominator_measure is not null
                then coalesce(denominators.measure_value, 0)
        end as denominator
    from keys
    inner join catalog
        on keys.kpi_id = catalog.kpi_id
    left join measures as numerators
        on
            catalog.numerator_measure = numerators.measure_id
            and keys.grain = numerators.grain
            and keys.period_start_date = numerators.period_start_date
            and keys.slice = numerators.slice
            and keys.slice_value = numerators.slice_value
    left join measures as denominators
        on
            catalog.denominator_measure = denominators.measure_id
            and keys.grain = denominators.grain
            and keys.period_start_date = denominators.period_start_date
            and keys.slice = denominators.slice
            and keys.slice_value = denominators.slice_value

),

compared as (

    select
        recomputed.kpi_id,
        recomputed.grain,
        recomputed.period_start_date,
        recomputed.slice,
        recomputed.slice_value,
        reported.value as reported_value,
        reported.numerator as reported_numerator,
        reported.denominator as reported_denominator,
        recomputed.numerator as recomputed_numerator,
        recomputed.denominator as recomputed_denominator,
        case
            when not recomputed.is_ratio then cast(recomputed.numerator as decimal(28, 6))
            when recomputed.denominator <> 0
                then
                    cast(
                        cast(recomputed.numerator as double) / cast(recomputed.denominator as double)
                        as decimal(28, 6)
                    )
        end as recomputed_value
    from recomputed
    left join reported
        on
            recomputed.kpi_id = reported.kpi_id
            and recomputed.grain = reported.grain
            and recomputed.period_start_date = reported.period_start_date
            and recomputed.slice = reported.slice
            and recomputed.slice_value = reported.slice_value

),

final as (

    select
        *,
        cast(reported_value - recomputed_value as decimal(28, 6)) as difference,
        case
            when (reported_numerator is distinct from recomputed_numerator) then false
            when (reported_denominator is distinct from recomputed_denominator) then false
            when (reported_value is distinct from recomputed_value) then false
            else true
        end as is_equal
    from compared

)

select * from final
