with transactions as (

    select * from {{ ref('int_shared__sales_lines_unioned') }}

),

campaigns as (

    select * from {{ ref('int_shared__campaigns_unioned') }}

),

redemptions as (

    select * from {{ ref('int_shared__coupon_redemptions_unioned') }}

),

dates_in_data as (

    select
        {{ business_date('min(sold_at)') }} as first_date,
        {{ business_date('max(sold_at)') }} as last_date
    from transactions
    union all
    select
        min(start_date) as first_date,
        max(end_date) as last_date
    from campaigns
    union all
    select
        min(redemption_date) as first_date,
        max(redemption_date) as last_date
    from redemptions

),

years_in_data as (

    select
        {{ dbt.date_trunc('year', 'min(first_date)') }} as first_year,
        {{ dbt.date_trunc('year', 'max(last_date)') }} as last_year
    from dates_in_data

),

whole_years as (

    select
        cast(first_year as date) as first_day,
        cast({{ dbt.dateadd('day', -1, dbt.dateadd('year', 1, 'last_year')) }} as date) as last_day
    from years_in_data

)

select * from whole_years
