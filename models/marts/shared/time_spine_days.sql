-- Grain: one row a business date, the unknown one left out: MetricFlow takes every row for a day
-- that was.
with dates as (

    select * from {{ ref('dim_dates') }}

),

final as (

    select
        business_date,
        week_start_date
    from dates
    where not is_unknown

)

select * from final
