-- Grain: one row a business date, for whole calendar years, and one unknown date.
with bounds as (

    select * from {{ ref('int_shared__calendar_bounded') }}

),

-- A century of days to take from; as many as the data's years have are taken.
days as (

    {{ dbt.generate_series(36525) }}

),

spine as (

    select
        cast(
            {{ dbt.dateadd('day', 'days.generated_number - 1', 'bounds.first_day') }}
            as date
        ) as business_date
    from days
    cross join bounds
    where days.generated_number <= {{ days_between('bounds.first_day', 'bounds.last_day') }} + 1

),

described as (

    select
        business_date,
        {{ business_week('business_date') }} as business_week,
        cast({{ dbt.date_trunc('month', 'business_date') }} as date) as month_start_date,
        cast({{ dbt.date_trunc('quarter', 'business_date') }} as date) as quarter_start_date,
        cast(extract(year from business_date) as integer) as calendar_year,
        cast(extract(month from business_date) as integer) as month_of_year,
        cast(extract(day from business_date) as integer) as day_of_month
    from spine

),

weeks as (

    select
        *,
        {{ business_week_start_date('business_week') }} as week_start_date
    from described

),

weekdays as (

    select
        *,
        {{ days_between('week_start_date', 'business_date') }} + 1 as iso_day_of_week
    from weeks

),

known as (

    select
        business_date,
        business_week,
        week_start_date,
        month_start_date,
        quarter_start_date,
        calendar_year,
        month_of_year,
        day_of_month,
        iso_day_of_week,
        iso_day_of_week >= 6 as is_weekend,
        false as is_unknown
    from weekdays

),

unknown as (

    select
        date '1900-01-01' as business_date,
        cast(null as integer) as business_week,
        cast(null as date) as week_start_date,
        cast(null as date) as month_start_date,
        cast(null as date) as quarter_start_date,
        cast(null as integer) as calendar_year,
        cast(null as integer) as month_of_year,
        cast(null as integer) as day_of_month,
        cast(null as integer) as iso_day_of_week,
        false as is_weekend,
        true as is_unknown

),

final as (

    select * from known
    union all
    select * from unknown

)

select * from final
