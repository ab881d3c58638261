-- Grain: one row a (grain, period_start_date) that holds a day of the data.
{% set of_single_days = [] %}
{% for system in built_systems() %}
    {% for table in source_systems()[system].dated_tables %}
        {% do of_single_days.append(
            "(source_system = '" ~ system ~ "' and table_name = '" ~ table ~ "')"
        ) %}
    {% endfor %}
{% endfor %}

with baskets as (

    select * from {{ ref('fct_baskets') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

promotion_weeks as (

    select * from {{ ref('fct_promotion_weeks') }}

),

control_totals as (

    select * from {{ ref('int_shared__load_control_totals_unioned') }}

),

-- Each table that days are counted in was last loaded at a time of its own.
latest_counts as (

    select
        source_system,
        table_name,
        max(counted_at) as counted_at
    from control_totals
    where
        {{ of_single_days | join('\n        or ') }}
    group by source_system, table_name

),

-- A day that was not over when one of them was last counted is not complete.
counted as (

    select {{ business_date('min(counted_at)') }} as counted_date
    from latest_counts

),

sold as (

    select
        min(business_date) as first_date,
        max(business_date) as last_date
    from baskets

),

observed as (

    select
        sold.first_date,
        sold.last_date,
        case
            when sold.last_date >= counted.counted_date
                then cast({{ dbt.dateadd('day', -1, 'counted.counted_date') }} as date)
            else sold.last_date
        end as complete_through_date
    from sold
    cross join counted

),

-- The promotion feed brings whole weeks, and may be behind the sales.
promoted as (

    select {{ business_week_start_date('max(business_week) + 1') }} as next_week_start_date
    from promotion_weeks

),

started as (

    {% for grain, period in kpi_grains().items() %}
        select distinct
            '{{ grain }}' as grain,
            {{ period }} as period_start_date
        from dates
        where not is_unknown
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

bounded as (

    select
        started.grain,
        started.period_start_date,
        cast(
            {{ dbt.dateadd('day', -1, next_period_start_date('started.grain', 'started.period_start_date')) }}
            as date
        ) as period_end_date
    from started

),

judged as (

    select
        bounded.grain,
        bounded.period_start_date,
        bounded.period_end_date,
        bounded.period_start_date >= observed.first_date
        and bounded.period_end_date <= observed.complete_through_date as is_complete_period,
        coalesce(bounded.period_end_date < promoted.next_week_start_date, false) as has_promotions
    from bounded
    cross join promoted
    inner join observed
        on
            bounded.period_end_date >= observed.first_date
            and bounded.period_start_date <= observed.last_date

)

select * from judged
