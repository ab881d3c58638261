-- Grain: one row a (grain, period_start_date, slice, slice_value): the whole and its departments in
-- complete periods that follow a complete one, from where the catalog publishes net sales.
with measures as (

    select * from {{ ref('int_kpis__measures_unpivoted') }}

),

periods as (

    select * from {{ ref('int_kpis__periods_bounded') }}

),

catalog as (

    select * from {{ ref('int_kpis__catalog_checked') }}

),

-- What is not published as a figure has no change to explain.
published as (

    select
        periods.grain,
        periods.period_start_date
    from periods
    inner join catalog
        on
            periods.period_start_date >= catalog.valid_from
            and {{ dbt.concat(["' '", 'catalog.published_slices', "' '"]) }}
            like {{ dbt.concat(["'% all/'", 'periods.grain', "' %'"]) }}
    where
        periods.is_complete_period
        and catalog.kpi_id = 'net_sales'

),

-- A department is told from the whole by its slice: it may have any name.
parts as (

    select distinct
        grain,
        slice,
        slice_value
    from measures
    where
        measure_id = 'net_sales_usd'
        and slice in ('all', 'department')

),

spined as (

    select
        published.grain,
        published.period_start_date,
        parts.slice,
        parts.slice_value
    from published
    inner join parts
        on published.grain = parts.grain

),

measured as (

    select
        spined.grain,
        spined.period_start_date,
        spined.slice,
        spined.slice_value,
        sum(case when measures.measure_id = 'net_sales_usd' then measures.measure_value else 0 end)
            as net_sales_usd,
        sum(case when measures.measure_id = 'basket_count' then measures.measure_value else 0 end)
            as basket_count,
        sum(case when measures.measure_id = 'active_household_count' then measures.measure_value else 0 end)
            as active_household_count
    from spined
    left join measures
        on
            spined.grain = measures.grain
            and spined.period_start_date = measures.period_start_date
            and spined.slice = measures.slice
            and spined.slice_value = measures.slice_value
    group by
        spined.grain,
        spined.period_start_date,
        spined.slice,
        spined.slice_value

),

compared as (

    select
        current_period.grain,
        current_period.period_start_date,
        current_period.slice,
        current_period.slice_value,
        current_period.net_sales_usd,
        previous_period.net_sales_usd as previous_net_sales_usd,
        current_period.basket_count,
        previous_period.basket_count as previous_basket_count,
        current_period.active_household_count,
        previous_period.active_household_count as previous_active_household_count
    from measured as current_period
    inner join measured as previous_period
        on
            current_period.grain = previous_period.grain
            and current_period.slice = previous_period.slice
            and current_period.slice_value = previous_period.slice_value
            and current_period.period_start_date
            = {{ next_period_start_date('previous_period.grain', 'previous_period.period_start_date') }}

)

select * from compared
