-- Grain: one row a household, coupon, campaign and day.
with unioned as (

    {{ union_of_systems('coupon_redemptions') }}

)

select * from unioned
