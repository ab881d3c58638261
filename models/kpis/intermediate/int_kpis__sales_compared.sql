-- Grain: one row a (grain, period_start_date, slice, department): complete periods that follow a
-- complete one; slice 'all' is the whole.
with measures as (

    select * from {{ ref('int_kpis__measures_unpivoted') }}

),

periods as (

    select * from {{ ref('int_kpis__periods_bounded') }}

),

departments as (

    select distinct
        grain,
        slice,
        slice_value as department
    from measures
    where
        measure_id = 'net_sales_usd'
        and slice in ('all', 'department')

),

spined as (

    select
        periods.grain,
        periods.period_start_date,
        departments.slice,
        departments.department
    from periods
    inner join departments
        on periods.grain = departments.grain
    where periods.is_complete_period

),

measured as (

    select
        spined.grain,
        spined.period_start_date,
        spined.slice,
        spined.department,
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
            and spined.department = measures.slice_value
    group by
        spined.grain,
        spined.period_start_date,
        spined.slice,
        spined.department

),

compared as (

    select
        current_period.grain,
        current_period.period_start_date,
        current_period.slice,
        current_period.department,
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
            and current_period.department = previous_period.department
            and current_period.period_start_date
            = {{ next_period_start_date('previous_period.grain', 'previous_period.period_start_date') }}

)

select * from compared
