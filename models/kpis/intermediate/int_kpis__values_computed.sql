-- Grain: one row a (kpi_id, grain, period_start_date, slice, slice_value): every KPI at the grains
-- and slices that the catalog publishes it at, for every period, with or without anything in it.
with catalog as (

    select * from {{ ref('int_kpis__catalog_checked') }}

),

measures as (

    select * from {{ ref('int_kpis__measures_unpivoted') }}

),

periods as (

    select * from {{ ref('int_kpis__periods_bounded') }}

),

-- What never happened is there as 0 in all, and not missing.
slice_values as (

    select
        measure_id,
        grain,
        slice,
        slice_value
    from measures
    {% for measured in kpi_measures().values() %}
        {% for grain in measured.slices %}
            {% for measure in measured.measures %}
                union distinct
                select
                    '{{ measure }}' as measure_id,
                    '{{ grain }}' as grain,
                    'all' as slice,
                    'all' as slice_value
            {% endfor %}
        {% endfor %}
    {% endfor %}

),

-- A slice value that either part of the KPI has ever had.
series as (

    select distinct
        catalog.kpi_id,
        catalog.numerator_measure,
        catalog.denominator_measure,
        catalog.valid_from,
        catalog.baseline_from,
        slice_values.grain,
        slice_values.slice,
        slice_values.slice_value
    from catalog
    inner join slice_values
        on
            slice_values.measure_id in (catalog.numerator_measure, catalog.denominator_measure)
            and {{ dbt.concat(["' '", 'catalog.published_slices', "' '"]) }}
            like {{ dbt.concat(["'% '", 'slice_values.slice', "'/'", 'slice_values.grain', "' %'"]) }}

),

parts as (

    select
        series.kpi_id,
        series.grain,
        periods.period_start_date,
        periods.period_end_date,
        -- Without its promotions a period looks like one with few of them.
        periods.is_complete_period
        and (
            periods.has_promotions
            or 'promoted_net_sales_usd' not in (
                series.numerator_measure, coalesce(series.denominator_measure, '')
            )
        ) as is_complete_period,
        series.slice,
        series.slice_value,
        series.baseline_from,
        series.denominator_measure is not null as is_ratio,
        coalesce(numerators.measure_value, 0) as numerator,
        case
            when series.denominator_measure is not null
                then coalesce(denominators.measure_value, 0)
        end as denominator
    from series
    inner join periods
        on
            series.grain = periods.grain
            and series.valid_from <= periods.period_start_date
    left join measures as numerators
        on
            series.numerator_measure = numerators.measure_id
            and series.grain = numerators.grain
            and series.slice = numerators.slice
            and series.slice_value = numerators.slice_value
            and periods.period_start_date = numerators.period_start_date
    left join measures as denominators
        on
            series.denominator_measure = denominators.measure_id
            and series.grain = denominators.grain
            and series.slice = denominators.slice
            and series.slice_value = denominators.slice_value
            and periods.period_start_date = denominators.period_start_date

),

computed as (

    select
        *,
        case
            when is_ratio then {{ kpi_ratio('numerator', 'denominator') }}
            else cast(numerator as decimal(28, 6))
        end as kpi_value
    from parts

)

select * from computed
