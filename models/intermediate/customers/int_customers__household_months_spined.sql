with baskets as (

    select * from {{ ref('fct_baskets') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

first_purchases as (

    select
        household_id,
        min(business_date) as first_purchase_date
    from baskets
    group by household_id

),

latest as (

    select max(business_date) as latest_business_date
    from baskets

),

months as (

    select
        month_starts_on,
        max(business_date) as month_ends_on
    from dates
    where not is_unknown
    group by month_starts_on

),

spined as (

    select
        first_purchases.household_id,
        first_purchases.first_purchase_date,
        months.month_starts_on,
        months.month_ends_on,
        -- The latest month is seen only as far as the data goes.
        least(months.month_ends_on, latest.latest_business_date) as observed_until_date
    from first_purchases
    cross join latest
    inner join months
        on
            first_purchases.first_purchase_date <= months.month_ends_on
            and months.month_starts_on <= latest.latest_business_date

)

select * from spined
